// What a swap draws anew is found again, and what one looks at stays where it is.
"use strict";
(() => {
  const REACHED = "a[href], button, input, select, textarea, summary, details, [tabindex]";
  // What an element is: where it leads, how it is called, of which form. Not what it says: that may be what changes.
  function alike(one) {
    const given = ["href", "name", one.matches("button") ? "value" : "type"].map((name) => one.getAttribute(name));
    return [one.tagName, ...given, one.form?.getAttribute("action")].join(" ");
  }
  function within(home, what) { return [...home.querySelectorAll(REACHED)].filter((one) => alike(one) === what); }
  // Returns a function that finds an element, or what stands for it after a swap: by its id, else as the one that is alike
  // and in the same place among those within the nearest element that has an id; null when it is gone. A field of another
  // form is another field, whatever its id.
  function finder(one) {
    const what = alike(one), action = one.form?.getAttribute("action"), homes = [];
    for (let home = one.parentElement?.closest("[id]"); home; home = home.parentElement?.closest("[id]")) homes.push([home.id, within(home, what).indexOf(one)]);
    return () => {
      if (one.isConnected) return one;
      if (one.id) {
        const same = document.getElementById(one.id);
        return same?.form?.getAttribute("action") === action ? same : null;
      }
      for (const [id, place] of homes) {
        const home = document.getElementById(id), found = home ? within(home, what) : [];
        if (found.length) return found[Math.min(place, found.length - 1)];
      }
      return null;
    };
  }

  // Of a row its whole; the bar of what is done to rows may stick to the edge of the screen.
  const SEEN = "[data-row], main [id]:not([data-row] *, [data-bulk] *)";
  function top(one) { return one.getBoundingClientRect().top; }
  function inView(one) {
    const at = one.getBoundingClientRect();
    return at.height > 0 && at.top >= 0 && at.top < innerHeight;
  }
  // Called before a swap; returns a function to be called after it, which gives the focus back and scrolls by as much as
  // what one looks at was moved: what has the focus, else the first in view. `instead` takes the place of the former if it is gone.
  function hold() {
    const focused = document.activeElement ?? document.body, find = finder(focused), scrolled = scrollY > 0;
    const rows = [...document.querySelectorAll("[data-row]")], index = rows.indexOf(focused.closest("[data-row]"));
    const own = focused !== document.body && inView(focused) ? top(focused) : null;
    const before = scrolled ? [...document.querySelectorAll(SEEN)].filter(inView).map((one) => [one.id, top(one)]) : [];
    return (instead) => {
      const now = find() ?? instead, near = index < 0 ? [] : [...document.querySelectorAll("[data-row] .monitor-name")];
      // htmx itself has given it to what has the same id, which may be another incident's field.
      if (focused !== document.body && document.activeElement !== now) (now ?? near[Math.min(index, near.length - 1)])?.focus({ preventScroll: true });
      if (!scrolled) return;
      const kept = before.map(([id, at]) => ({ one: document.getElementById(id), at })).filter(({ one }) => one?.checkVisibility());
      // One of a list may have changed its place among the others: where most of them went is what counts.
      const list = kept[0]?.one.closest("ul, ol, tbody"), same = list ? kept.filter(({ one }) => list.contains(one)) : kept.slice(0, 1);
      const moved = same.map(({ one, at }) => top(one) - at).sort((a, b) => a - b);
      const by = own !== null && now ? top(now) - own : moved[moved.length >> 1];
      if (by) scrollBy({ top: by, behavior: "instant" });
    };
  }
  self.luota = { ...self.luota, finder, hold };
})();
