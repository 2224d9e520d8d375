from luota.core.evidence import Change, RunFacts, changes

HEALTHY = RunFacts("a", "1", "success", 0, 60_000, host="db-1", deploy_sha="abc", tags={"region": "eu", "team": "x"})


def test_only_what_differs_from_the_last_healthy_run_is_a_change():
    assert changes(HEALTHY, HEALTHY) == ()
    run = RunFacts("b", "2", "failed", 0, 62_000, host="db-2", tags={"region": "us", "shard": "7"})
    assert changes(run, HEALTHY) == (
        Change("deploy SHA", "abc", None),
        Change("host", "db-1", "db-2"),
        Change("tag region", "eu", "us"),
        Change("tag shard", None, "7"),
        Change("tag team", "x", None),
    )


def test_a_duration_counts_from_a_tenth_on_and_only_when_both_have_ended():
    def lasting(ms):
        return RunFacts("b", "2", "failed", 0, ms, host="db-1", deploy_sha="abc", tags=HEALTHY.tags)

    assert changes(lasting(65_000), HEALTHY) == ()
    assert changes(lasting(66_000), HEALTHY) == (Change("duration", "1 min", "1 min 6 s"),)
    assert changes(lasting(None), HEALTHY) == ()
