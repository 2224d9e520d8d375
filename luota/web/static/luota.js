// What the pages do beyond HTML: times in the viewer's zone, live changes, copying, keys, the theme.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // -- times ---------------------------------------------------------------------------------------
  // The day stands only where it is another than today's; the exact instant with its zone on hover and on paper.
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" }, date = { day: "numeric", month: "short" };
  const exact = new Intl.DateTimeFormat(undefined, { ...date, ...clock, year: "numeric", timeZoneName: "shortOffset" });
  let today = "", printing = false;
  function short(at) {
    const then = new Date(at), now = new Date(), day = then.toDateString() === today ? {} : date;
    const year = then.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
    // No stop at its end, such as that of "p.m.": the sentence it stands in brings its own.
    return then.toLocaleString(undefined, { ...day, ...year, ...clock }).replace(/(\p{L})\.\s?(\p{L})\.$/u, "$1$2").replace(/\.$/, "");
  }
  const units = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
  function span(seconds) {
    for (const [size, word, part, small] of units) {
      if (seconds >= size) {
        const whole = Math.floor(seconds / size), rest = Math.floor((seconds % size) / part);
        return `${whole} ${word}` + (rest && whole < 10 ? ` ${rest} ${small}` : "");
      }
    }
    return `${Math.floor(seconds)} s`;
  }
  function tick(root = document) {
    const now = Date.now();
    if (printing) return;
    if (new Date().toDateString() !== today) {
      today = new Date().toDateString();
      for (const time of $$("time[data-exact][data-local]")) delete time.dataset.local;
    }
    for (const time of $$("time[data-when], time[data-until]", root)) {
      const at = Date.parse(time.dateTime), away = (at - now) / 1000;
      const said = away > 0 ? `in ${span(away)}` : away > -1 ? "just now" : `${span(-away)} ago`;
      if (time.textContent !== said) time.textContent = said;
      if (!time.dataset.local) { time.title = exact.format(at); time.dataset.local = "1"; }
    }
    for (const time of $$("time[data-exact]:not([data-local])", root)) {
      const at = Date.parse(time.dateTime);
      time.dataset.utc ??= time.textContent;
      time.title = `${exact.format(at)} (${time.dataset.utc})`;
      time.textContent = short(at);
      time.dataset.local = "1";
    }
  }
  addEventListener("beforeprint", () => {
    printing = true;
    for (const time of $$("time[data-local]")) { time.dataset.said = time.textContent; time.textContent = exact.format(Date.parse(time.dateTime)); }
  });
  addEventListener("afterprint", () => {
    printing = false;
    for (const time of $$("time[data-said]")) { time.textContent = time.dataset.said; delete time.dataset.said; }
    tick();
  });
  setInterval(() => { if (!document.hidden) tick(); }, 1000);
  // What bars and charts say when one points at them: turned then, since there may be thousands of slots.
  document.addEventListener("pointerover", (event) => {
    const title = event.target.matches?.("svg rect") && $("title", event.target);
    if (title) title.textContent = title.textContent.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/g, (_, day, time) => exact.format(Date.parse(`${day}T${time}Z`)));
  });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  // -- live: one stream a page, closed while nobody looks ---------------------------------------------
  const main = $("main[data-stream]"), LOST = $("#lost span")?.textContent;
  const SILENT = 9000;  // two of the signs of life that come every four seconds (stream.py), and a second
  const STOOD_STILL = 5000;
  const LIVE = { "X-Luota-Live": "1" };  // so that a page that lies open does not pass for a person who uses it
  let source = null, pending = new Set(), timer = null, lost = null, again = null, asking = false;
  let heard = 0, looked = 0, sent = 0;
  // Which rows are shown, in which order and groups, as the server makes it of those that are to be (overview.py).
  function shown(rows) {
    const each = $$("#rows > [data-row], #rows > [data-head]");
    const mixed = each.reduce((all, one) => (Math.imul(all, 31) + (one.dataset.row ? parseInt(one.dataset.row.slice(0, 8), 16) : Number(one.dataset.head))) >>> 0, 0);
    return `${rows.length}.${mixed}.${$("[data-more]") ? 1 : 0}`;
  }
  // Rows come, go and are drawn anew: what one looks at stays in its place, and what has the focus keeps it.
  let held = null;
  function hold() {
    const rows = $$("[data-row]"), focused = document.activeElement ?? document.body;
    const index = rows.indexOf(focused.closest("[data-row]")), first = index < 0 ? [] : [rows[index]];
    const before = [...first, ...rows].map((row) => [row.id, row.getBoundingClientRect()]);
    held = { before: before.filter(([, at]) => at.bottom > 0 && at.top < innerHeight), focused, scrolled: scrollY > 0, index, own: first[0]?.id };
  }
  function release() {
    if (!held) return;
    const { before, focused, scrolled, index, own } = held;
    held = null;
    const kept = before.map(([id, at]) => [document.getElementById(id), at.top]).filter(([row]) => row);
    const moved = kept.map(([row, top]) => row.getBoundingClientRect().top - top);
    // One row may move to elsewhere: the page follows the one with the focus, else the most.
    const by = own && kept[0]?.[0].id === own ? moved[0] : moved.sort((a, b) => a - b)[moved.length >> 1];
    if (by && scrolled) scrollBy({ top: by, behavior: "instant" });
    if (document.activeElement === document.body && focused !== document.body) {
      const rows = $$("[data-row] .monitor-name"), near = rows[Math.min(index, rows.length - 1)];
      const to = focused.isConnected ? focused : (focused.id && document.getElementById(focused.id)) || (index < 0 ? null : near);
      to?.focus({ preventScroll: true });
    }
  }
  async function refresh() {
    timer = null;
    asking = true;
    const ids = pending;
    pending = new Set();
    const list = $("[data-rows]");
    for (const part of $$("[data-live]")) {
      const wanted = part.dataset.live.split(" ");
      if (ids.has("*") || wanted.includes("*") || wanted.some((id) => ids.has(id))) htmx.trigger(part, "luota:changed");
    }
    if (list) {
      const path = list.dataset.rows + (list.dataset.rows.includes("?") ? "&" : "?");
      const here = $$("[data-row]").map((row) => row.dataset.row).filter((id) => ids.has(id) || ids.has("*"));
      // What changed may also begin to be shown; of very much that changed only what is shown is asked for.
      let wanted = ids.size > 100 || ids.has("*") ? here : [...ids];
      // One after the other, a hundred rows at most: of what is asked meanwhile htmx keeps the last alone.
      for (let tries = 0; tries < 30; tries++) {
        const now = wanted.splice(0, 100).join(","), rows = $$("[data-row]");
        const asked = `${path}ids=${now}&have=${shown(rows)}`;
        try { await htmx.ajax("GET", asked, { swap: "none", source: list, headers: LIVE }); } catch { break; } finally { release(); }
        const empty = $$("[data-row]:empty").map((row) => row.dataset.row);
        wanted = [...new Set([...wanted, ...empty])];
        if (!wanted.length) break;
      }
    }
    asking = false;
    if (pending.size) timer = setTimeout(refresh, 400);
  }
  function changed(ids) {
    for (const id of ids) pending.add(id);
    if (timer === null && !asking) timer = setTimeout(refresh, 400);
  }
  function here() { return location.pathname + location.search; }
  function signIn() { location.assign(`/sign-in?next=${encodeURIComponent(here())}`); }
  // A form that was sent leads away by itself: it may be the reason, and knows better where to.
  function leave(go) { close(); setTimeout(go, Date.now() - sent < 5000 ? 5000 : 0); }
  document.addEventListener("submit", (event) => {
    sent = Date.now();
    if ($("[data-bulk]", event.target)) sessionStorage.setItem("scrolled", scrollY);
  });
  function cutOff(words) {
    const said = $("#lost span");
    document.documentElement.dataset.connected = "no";
    if (said.textContent !== words) said.textContent = words;
    $("#lost").hidden = false;
  }
  function connected() {
    document.documentElement.dataset.connected = "yes";
    const was = !$("#lost").hidden;
    if (was) $("#lost").hidden = true;
    return was;
  }
  function open() {
    if (!main || source || document.hidden) return;
    heard = looked = Date.now();
    source = new EventSource(main.dataset.stream);
    for (const kind of ["live", "alive", "changed"]) source.addEventListener(kind, () => { heard = Date.now(); });
    source.addEventListener("changed", (event) => changed(JSON.parse(event.data)));
    source.addEventListener("signedout", () => leave(signIn));
    source.addEventListener("other", () => leave(() => location.assign(here())));  // never sends a form again, as a reload may
    source.addEventListener("live", () => {
      clearTimeout(lost); lost = null;
      if (connected()) changed(["*"]);
    });
    source.addEventListener("full", (event) => {
      close();
      clearTimeout(lost); lost = null;
      cutOff(JSON.parse(event.data));
      changed(["*"]);
      again = setTimeout(open, 30000);
    });
    source.onerror = () => {
      document.documentElement.dataset.connected = "no";
      if (lost === null) lost = setTimeout(() => cutOff(LOST), 1500);
      if (source && source.readyState === EventSource.CLOSED) { close(); again = setTimeout(open, 3000); }
    };
  }
  function close() { clearTimeout(again); if (source) { source.close(); source = null; } }
  // A connection that is cut without a word ends nowhere but here. Of one over which the machine slept nothing is known.
  setInterval(() => {
    const now = Date.now(), still = Math.abs(now - looked) > STOOD_STILL;
    looked = now;
    if (!source || (!still && now - heard <= SILENT)) return;
    close();
    for (const part of $$("[data-rows], [data-live]")) htmx.trigger(part, "htmx:abort");  // else nothing is asked again
    if (still) changed(["*"]); else cutOff(LOST);
    open();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); } else if (main && !source) { open(); changed(["*"]); }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) { open(); changed(["*"]); } });

  function openCount() {
    const pill = $("#nav-open"), icon = $("link[rel=icon]");
    if (!pill || !icon) return;
    const count = pill.hidden ? 0 : Number(pill.textContent);
    const href = count ? icon.dataset.open : icon.dataset.calm;
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
    document.title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  }

  function chosen() {
    const bulk = $("[data-bulk]");
    if (!bulk) return;
    bulk.hidden = !$("[data-row]") && !$(".wrong, .done, .asks", bulk);
    const boxes = $$("[data-row] input[name=monitor]"), all = $("[data-all]", bulk);
    if (all) all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
  }

  // -- copying, theme, keys, forms -----------------------------------------------------------------------
  function prepare(root = document) {
    for (const button of $$("[data-copy]", root)) button.hidden = false;
    for (const button of $$("[data-theme-switch]", root)) button.hidden = false;
    for (const part of $$("[data-script]", root)) part.hidden = false;
    for (const field of $$("input[data-zone-here]", root)) if (!field.value) field.value = zone;
    for (const place of $$("[data-zone]", root)) place.textContent = zone;
    for (const place of $$("[data-elsewhere]", root)) place.hidden = place.dataset.elsewhere === zone;
    for (const element of $$("[data-focus]", root)) { element.removeAttribute("data-focus"); element.focus(); }
    chosen();
    tick(root);
    openCount();
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (button?.matches("[data-copy]")) {
      const text = $("code", button.parentElement).textContent, word = button.textContent;
      try { await navigator.clipboard.writeText(text); } catch {
        const area = document.createElement("textarea");
        area.value = text; document.body.append(area); area.select();
        document.execCommand("copy"); area.remove(); button.focus();
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = word; }, 1600);
    } else if (button?.matches("[data-theme-switch]")) {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    } else if (button?.matches("[data-print]")) {
      print();
    }
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
      for (const box of $$(`input[name="${event.target.dataset.all}"]`)) box.checked = event.target.checked;
    }
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
    if (event.target.matches("[name=monitor], [data-all]")) $("[data-bulk] > .done")?.remove();
    chosen();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape") { for (const menu of $$("details.menu[open]")) menu.open = false; if (typing) event.target.blur(); return; }
    if (event.key === "Enter" && event.target.matches("input[name=monitor], [data-all]")) { event.preventDefault(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { const search = $("input[type=search]"); if (search) { event.preventDefault(); search.focus(); search.select(); } return; }
    if (["ArrowDown", "ArrowUp", "j", "k"].includes(event.key)) {
      const links = $$("[data-row] .monitor-name, [data-item] a:first-of-type");
      if (!links.length) return;
      const at = links.indexOf(document.activeElement), step = event.key === "ArrowDown" || event.key === "j" ? 1 : -1;
      if (at < 0 && event.key.startsWith("Arrow") && document.activeElement !== document.body) return;
      event.preventDefault();
      links[Math.min(links.length - 1, Math.max(0, at < 0 ? 0 : at + step))].focus();
    }
  });
  // A row that is drawn anew keeps its tick; of a list that comes anew the rows are kept that came empty.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { fragment } = event.detail;
    for (const row of $$("[data-row]", fragment)) {
      const old = document.getElementById(row.id), box = $("input", row);
      if (old && old.firstElementChild && !row.firstElementChild) { row.replaceWith(old); continue; }
      if (old && box) box.checked = $("input", old)?.checked ?? false;
      if (row.firstElementChild) row.classList.add("changed");
    }
  });
  document.addEventListener("htmx:beforeSwap", (event) => { if (event.detail.target.matches("[data-rows]")) hold(); });
  document.addEventListener("htmx:configRequest", (event) => {
    const { headers, triggeringEvent } = event.detail;
    if (triggeringEvent?.type === "luota:changed") Object.assign(headers, LIVE);
    if ("X-Luota-Live" in headers) event.detail.timeout = SILENT;  // an answer that never comes would end all further ones
  });
  // What is open stays open when its surroundings are swapped.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", (event) => { opened = $$("details[id][open]", event.detail.target).map((one) => one.id); });
  document.addEventListener("htmx:afterSwap", () => { for (const id of opened) { const one = document.getElementById(id); if (one) one.open = true; } });
  document.addEventListener("htmx:afterSettle", (event) => prepare(event.target));
  document.addEventListener("htmx:oobAfterSwap", (event) => { prepare(event.detail.target?.parentElement ?? document); });
  // What was refused or lost is asked for again while the stream lives, and until it comes the page says that it is old.
  const stale = new Set(), follows = (part) => part?.matches?.("[data-rows], [data-live]");
  function unanswered(event) {
    const part = event.detail.elt, status = event.detail.xhr?.status ?? 0;
    if (status === 401) { signIn(); return; }
    if (!source || !follows(part)) return;
    if (status >= 400 && status < 500 && status !== 429) { come(part); return; }  // another try would be refused as well
    stale.add(part);
    cutOff(LOST);
    setTimeout(() => changed(["*"]), 3000);
  }
  function come(part) {
    const last = stale.delete(part) && ![...stale].some((one) => one.isConnected);
    if (last && source?.readyState === EventSource.OPEN) connected();
  }
  for (const kind of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(kind, unanswered);
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) come(event.detail.elt); });
  prepare();
  // What was done is said once, with the page where it was.
  if ($("[data-bulk] > .done")) {
    const asked = new URL(location.href), scrolled = sessionStorage.getItem("scrolled");
    for (const name of ["done", "number", "of", "left"]) asked.searchParams.delete(name);
    history.replaceState(null, "", asked.pathname + asked.search);
    if (scrolled !== null) scrollTo({ top: Number(scrolled), behavior: "instant" });
  }
  sessionStorage.removeItem("scrolled");
  open();
})();
