// The live stream. All tabs of a browser share one, whatever workspaces they show, in a shared worker: a browser opens six
// connections to a host at most (HTTP/1.1). Where there is no such worker, each page runs this by itself.
"use strict";
(() => {
  const SILENT = 9000;  // two of the signs of life that come every four seconds (stream.py), and a second

  // Returns what takes in the port of a page. To join, the page sends { of, seen }: of which workspace, role and session
  // it is, and the number of the latest change that it shows; null to leave. It gets { kind, said } for each event that
  // concerns it, and for the failures of the stream.
  function sharing(alone) {
    const pages = new Map();  // by port: { of, seen }, as they joined or were told since
    // What the stream was opened for: by `of` the latest { number, count }, and null until `live` has come.
    let follows = new Map(), source = null, heard = 0;
    function each(of, does) { for (const [port, page] of pages) if (!of || page.of === of) does(port, page); }
    function tell(of, kind, said) { each(of, (port) => port.postMessage({ kind, said })); }
    function greet(port, page) {
      const { number, count } = follows.get(page.of);
      port.postMessage({ kind: "live" });
      if (page.seen !== number) port.postMessage({ kind: "changed", said: ["*"] });
      page.seen = number;
      port.postMessage({ kind: "count", said: count });
    }
    function stop() { source?.close(); source = null; follows = new Map(); }
    function end(of, kind) {
      tell(of, kind);
      each(of, (port) => pages.delete(port));
      follows.delete(of);
      if (!follows.size) stop();
    }
    const HEARD = {
      live({ of, number, count }) { follows.set(of, { number, count }); each(of, greet); },
      alive() { tell(null, "alive"); },
      changed({ of, number, ids }) {
        follows.get(of).number = number;
        each(of, (_, page) => { page.seen = number; });
        tell(of, "changed", ids);
      },
      count({ of, count }) { follows.get(of).count = count; tell(of, "count", count); },
      full({ why }) { stop(); tell(null, "full", why); },
      signedout({ of }) { end(of, "signedout"); },
      other({ of }) { end(of, "other"); },
    };
    function start() {
      stop();
      heard = Date.now();
      for (const { of } of pages.values()) follows.set(of, null);
      const asked = [...follows.keys()].map((of) => ["of", of]);
      source = new EventSource(`/stream?${new URLSearchParams(alone ? [...asked, ["alone", "1"]] : asked)}`);
      for (const [kind, hear] of Object.entries(HEARD)) {
        source.addEventListener(kind, ({ data }) => { heard = Date.now(); hear(JSON.parse(data)); });
      }
      source.onerror = () => {
        const over = source.readyState === EventSource.CLOSED;
        if (over) stop();
        for (const of of follows.keys()) follows.set(of, null);
        tell(null, "failed", over);
      };
    }
    function join(port, page) {
      pages.set(port, page);
      if (!source || !follows.has(page.of) || Date.now() - heard > SILENT) start();
      else if (follows.get(page.of)) greet(port, page);  // else it is being opened, and `live` comes to this one too
    }
    function leave(port) {
      pages.delete(port);
      port.close();
      if (!pages.size) stop();
    }
    return (port) => { port.onmessage = ({ data }) => { if (data === null) leave(port); else join(port, data); }; };
  }

  // Connects a page for as long as it is open: `stream` is of which workspace, role and session it is, `seen` the number of
  // the latest change that it shows. `on` is called by the kinds of what comes; by `silent` when nothing does any more, with
  // whether that is for the machine stood still; by `missed` when a page is looked at again that heard of nothing.
  function follow({ stream, seen }, on) {
    const STOOD_STILL = 5000, UNSEEN = 15000;  // so often a hidden page looks by itself where tabs cannot share a stream
    let shared = "SharedWorker" in self, own = null, port = null, again = null, streams = false, heard = 0, looked = 0;
    function connect() {
      try {
        if (shared) {
          const worker = new SharedWorker(document.getElementById("stream").src);
          worker.onerror = () => { shared = false; close(); open(); };
          return worker.port;
        }
      } catch { shared = false; }  // where a site may keep nothing, it may share nothing
      own ??= sharing(true);
      const { port1, port2 } = new MessageChannel();
      own(port2);
      return port1;
    }
    function close(until) {
      clearTimeout(again);
      streams = false;
      if (port) { port.postMessage(null); port.close(); port = null; }
      if (until) again = setTimeout(open, until);
    }
    function open() {
      clearTimeout(again);
      if (port) return;
      heard = looked = Date.now();
      const mine = port = connect();
      mine.onmessage = ({ data: { kind, said } }) => {
        if (port !== mine) return;
        heard = Date.now();
        if (kind === "live") streams = true;
        if (kind === "failed") streams = false;
        if (kind === "failed" && said) close(3000);
        if (kind === "full") close(30000);
        if (kind === "count" && !shared && document.hidden) close(UNSEEN);
        on[kind]?.(said);
      };
      mine.postMessage({ of: stream, seen: Number(seen) });
    }
    // A connection that is cut without a word ends nowhere but here. Of one over which the machine slept nothing is known;
    // of a hidden page it is the timer that sleeps.
    setInterval(() => {
      const now = Date.now(), still = Math.abs(now - looked) > STOOD_STILL && !document.hidden;
      looked = now;
      if (!port || (!still && now - heard <= SILENT)) return;
      close();
      on.silent(still);
      open();
    }, 1000);
    function back() { if (!port) { open(); on.missed(); } }
    document.addEventListener("visibilitychange", () => {
      looked = Date.now();
      if (!document.hidden) back(); else if (!shared) close(UNSEEN);
    });
    addEventListener("pagehide", () => close());
    addEventListener("pageshow", ({ persisted }) => { if (persisted) back(); });
    open();
    return { close: () => close(), get open() { return port !== null; }, get streams() { return streams; } };
  }

  if ("onconnect" in self) {
    const take = sharing(false);
    self.onconnect = ({ ports: [port] }) => take(port);
  } else {
    self.luota = { ...self.luota, follow, SILENT };
  }
})();
