from concurrent.futures import ThreadPoolExecutor

from ulid import ULID

from luota.clock import SystemClock
from luota.web.request_id import RequestIds, new_request_id


class At:
    def __init__(self, instant: int) -> None:
        self.instant = instant

    def now(self) -> int:
        return self.instant

    def monotonic(self) -> int:
        return 0


def test_an_id_is_req_and_a_ulid_that_the_ulid_library_reads():
    request_id = new_request_id()
    assert request_id.startswith("req_")
    assert len(request_id) == 4 + 26
    assert str(ULID.from_str(request_id[4:])) == request_id[4:]


def test_the_time_part_is_the_clocks_millisecond():
    clock = At(1_700_000_000_123)
    ids = RequestIds(clock)
    assert ULID.from_str(ids()[4:]).milliseconds == 1_700_000_000_123
    clock.instant = 2**48 - 1
    assert ids()[4:14] == "7ZZZZZZZZZ"
    clock.instant = 0
    assert ids()[4:14] == "0000000000"


def test_the_module_wide_maker_reads_the_real_clock():
    before = SystemClock().now()
    stamp = ULID.from_str(new_request_id()[4:]).milliseconds
    assert before <= stamp <= SystemClock().now()


def test_ids_of_one_millisecond_differ_also_between_threads():
    ids = RequestIds(At(1))
    with ThreadPoolExecutor(4) as pool:
        made = [i for part in pool.map(lambda _: [ids() for _ in range(1000)], range(8)) for i in part]
    assert len(set(made)) == 8000


def test_the_random_part_uses_the_whole_alphabet_evenly():
    ids = RequestIds(At(1))
    text = "".join(ids()[14:] for _ in range(4000))
    counts = {symbol: text.count(symbol) for symbol in "0123456789ABCDEFGHJKMNPQRSTVWXYZ"}
    assert sum(counts.values()) == len(text)
    # 2,000 of each are expected with a deviation of 44: eight deviations never happen by chance.
    assert all(abs(count - 2000) < 360 for count in counts.values())
