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
    for (const time of $$("time[data-when], time[data-until], time[data-for]", root)) {
      const at = Date.parse(time.dateTime), away = (at - now) / 1000;
      const since = span(Math.max(0, -away));
      const said = "for" in time.dataset ? since : away > 0 ? `in ${span(away)}` : away > -1 ? "just now" : `${since} ago`;
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
  // What the slots of bars and charts say, in this zone: turned when it is asked for, since there may be thousands.
  const SLOT = "[data-drawn] rect:not(.blind, .chart-cap)";
  function words(slot) {
    const title = $("title", slot);
    return title.textContent = title.textContent.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/g, (_, day, time) => exact.format(Date.parse(`${day}T${time}Z`)));
  }
  // A mouse makes the browser tell it; keys and fingers do not. A bar is one stop of the tab key, and the arrows go along it.
  let told = null;
  function hush() { told?.tip.remove(); told?.slot.classList.remove("pointed"); told?.drawn.classList.remove("walked"); told = null; }
  function tell(drawn, to) {
    hush();
    const slots = $$(SLOT, drawn), at = Math.max(0, Math.min(slots.length - 1, to)), slot = slots[at], tip = document.createElement("p");
    slot.classList.add("pointed");
    drawn.classList.add("walked");
    tip.className = "tip";
    tip.ariaHidden = "true";
    tip.textContent = words(slot);
    drawn.append(tip);
    drawn.setAttribute("aria-valuenow", at + 1);
    drawn.setAttribute("aria-valuetext", tip.textContent);
    told = { drawn, slot, tip, at };
  }
  function walkable(root) {
    for (const drawn of $$("[data-drawn]:not([tabindex]):has(svg)", root)) {
      const count = $$(SLOT, drawn).length;
      const said = { role: "slider", tabindex: 0, "aria-label": $("svg", drawn).getAttribute("aria-label"), "aria-readonly": "true", "aria-valuemin": 1, "aria-valuemax": count, "aria-valuenow": count };
      for (const [name, value] of Object.entries(said)) drawn.setAttribute(name, value);
    }
  }
  document.addEventListener("pointerover", (event) => {
    if (event.target.matches?.(SLOT)) words(event.target);
  });
  document.addEventListener("click", ({ target }) => {
    const drawn = target.matches(SLOT) && target.closest("[data-drawn]");
    if (drawn) tell(drawn, $$(SLOT, drawn).indexOf(target)); else hush();
  });
  document.addEventListener("focusin", ({ target }) => { if (target.matches("[data-drawn]:focus-visible")) tell(target, Infinity); });
  document.addEventListener("focusout", ({ target }) => { if (told?.drawn === target) hush(); });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  // -- live: one stream for all tabs of a browser (stream.js), which tells the open count of hidden ones, too -----------
  const main = $("main[data-stream]"), LOST = $("#lost span")?.textContent, { follow, SILENT } = luota;
  const PACE = 1000, GATHER = 50;  // a page asks once in so many ms at most, and takes together what comes in so few
  const LIVE = { "X-Luota-Live": "1" };  // so that a page that lies open does not pass for a person who uses it
  let link = null, pending = new Set(), timer = null, lost = null, asking = false, began = -PACE, sent = 0;
  // Which rows are shown, in which order and groups, as the server makes it of those that are to be (overview.py).
  function shown(rows) {
    const each = $$("#rows > [data-row], #rows > [data-head]");
    const mixed = each.reduce((all, one) => (Math.imul(all, 31) + (one.dataset.row ? parseInt(one.dataset.row.slice(0, 8), 16) : Number(one.dataset.head))) >>> 0, 0);
    return `${rows.length}.${mixed}.${$("[data-more]") ? 1 : 0}`;
  }
  async function refresh() {
    timer = null;
    asking = true;
    began = performance.now();
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
        try { await htmx.ajax("GET", asked, { swap: "none", source: list, headers: LIVE }); } catch { break; }
        const empty = $$("[data-row]:empty").map((row) => row.dataset.row);
        wanted = [...new Set([...wanted, ...empty])];
        if (!wanted.length) break;
      }
    }
    asking = false;
    changed([]);
  }
  function changed(ids) {  // what changes while nobody looks is asked for when somebody does
    for (const id of ids) pending.add(id);
    if (pending.size && timer === null && !asking && !document.hidden) timer = setTimeout(refresh, Math.max(GATHER, began + PACE - performance.now()));
  }
  function here() { return location.pathname + location.search; }
  function signIn() { location.assign(`/sign-in?next=${encodeURIComponent(here())}`); }
  // A form that was sent leads away by itself: it may be the reason, and knows better where to.
  function leave(go) { link.close(); setTimeout(go, Date.now() - sent < 5000 ? 5000 : 0); }
  document.addEventListener("submit", (event) => {
    sent = Date.now();
    if ($("[data-bulk]", event.target)) sessionStorage.setItem("scrolled", scrollY);
  });
  function cutOff(words) {
    const said = $("#lost span");
    document.documentElement.dataset.connected = "no";
    if (said.textContent !== words) said.textContent = words;
    $("#lost").hidden = false;
    openCount();
  }
  function connected() {
    document.documentElement.dataset.connected = "yes";
    const was = !$("#lost").hidden;
    if (was) { $("#lost").hidden = true; openCount(); }
    return was;
  }
  const ON = {
    live() {
      clearTimeout(lost); lost = null;
      if (connected()) changed(["*"]);
    },
    changed,
    count(count) {
      const pill = $("#nav-open");
      pill.textContent = count;
      pill.hidden = !count;
      pill.classList.toggle("pill-open", count > 0);
      openCount();
    },
    signedout() { leave(signIn); },
    other() { leave(() => location.assign(here())); },  // never sends a form again, as a reload may
    full(words) {
      clearTimeout(lost); lost = null;
      cutOff(words);
      changed(["*"]);
    },
    failed() {
      document.documentElement.dataset.connected = "no";
      if (lost === null) lost = setTimeout(() => cutOff(LOST), 1500);
    },
    silent(still) {
      for (const part of $$("[data-rows], [data-live]")) htmx.trigger(part, "htmx:abort");  // else nothing is asked again
      if (still) changed(["*"]); else cutOff(LOST);
    },
    missed() { changed(["*"]); },
  };
  document.addEventListener("visibilitychange", () => changed([]));

  function openCount() {
    const pill = $("#nav-open"), icon = $("link[rel=icon]");
    if (!main || !pill) return;  // the mark of a page that does not follow what happens says so from its beginning
    const known = $("#lost").hidden, count = pill.hidden ? 0 : Number(pill.textContent);
    const href = icon.dataset[known ? (count ? "open" : "calm") : "unknown"], said = known ? count : "?";
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
    document.title = (said ? `(${said}) ` : "") + document.title.replace(/^\((\d+|\?)\) /, "");
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
    walkable(root);
    tick(root);
  }
  function whole() {
    // A note on what was done is over with the state that it was done to. Its room stays, so that nothing jumps.
    for (const note of $$("[data-while]")) if (note.dataset.while !== $("#live").dataset.state) note.classList.add("over");
    chosen();
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
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (event.key === "Escape") { hush(); for (const menu of $$("details.menu[open]")) menu.open = false; if (typing) event.target.blur(); return; }
    if (event.key === "Enter" && event.target.matches("input[name=monitor], [data-all]")) { event.preventDefault(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const along = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (along && event.target.matches("[data-drawn]")) { event.preventDefault(); tell(event.target, (told?.at ?? 0) + along); return; }
    if (event.key === "/") { const search = $("input[type=search]"); if (search) { event.preventDefault(); search.focus(); search.select(); } return; }
    if (["ArrowDown", "ArrowUp", "j", "k"].includes(event.key)) {
      const ITEM = "[data-row], [data-item]", links = $$(ITEM).map((one) => $("a", one)).filter(Boolean);
      if (!links.length) return;
      const within = event.target.closest(ITEM), at = links.indexOf(within && $("a", within)), step = event.key === "ArrowDown" || event.key === "j" ? 1 : -1;
      if (at < 0 && event.key.startsWith("Arrow") && document.activeElement !== document.body) return;
      event.preventDefault();
      links[Math.min(links.length - 1, Math.max(0, at < 0 ? 0 : at + step))].focus();
    }
  });
  // Of a list that comes anew the rows are kept that came empty, and moved are those alone that changed their place: a
  // browser takes more than a second for a thousand.
  function renew(list, fresh) {
    const wanted = [...fresh.children].map((one) => (one.dataset.row && !one.firstElementChild && document.getElementById(one.id)) || one);
    const stay = new Set(wanted);
    for (const one of [...list.children]) if (!stay.has(one)) one.remove();
    let at = list.firstElementChild;
    for (const one of wanted) {
      if (at === one) { at = at.nextElementSibling; continue; }
      const isNew = fresh.contains(one);
      list.insertBefore(one, at);
      if (isNew) { htmx.process(one); prepare(one); }
    }
  }
  // A row that is drawn anew keeps its tick.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { fragment, target } = event.detail;
    for (const row of $$("[data-row]:not(:empty)", fragment)) {
      const old = document.getElementById(row.id), box = $("input", row);
      if (old && box) box.checked = $("input", old)?.checked ?? false;
      row.classList.add("changed");
    }
    if (target.id === "rows") { renew(target, fragment.firstElementChild); event.detail.shouldSwap = false; }
  });
  document.addEventListener("htmx:configRequest", (event) => {
    const { headers, triggeringEvent } = event.detail;
    if (triggeringEvent?.type === "luota:changed") Object.assign(headers, LIVE);
    if ("X-Luota-Live" in headers) event.detail.timeout = SILENT;  // an answer that never comes would end all further ones
  });
  // What is open stays open when its surroundings are swapped.
  let release = null, opened = [], walked = null, written = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = event.detail;
    release = luota.hold();
    opened = $$("details[open]", target).map(luota.finder);
    written = $$("form[data-note] [name=reason]", target).filter((field) => field.value.trim());
    walked = told && target.contains(told.drawn) ? { id: told.drawn.id, of: told.slot.dataset.of } : null;
  });
  document.addEventListener("htmx:afterSwap", () => { for (const find of opened) { const one = find(); if (one) one.open = true; } });
  // What was being written into a form that is gone is not lost: the one in its place takes it, else a note can. Returns
  // where a note takes it.
  function keep() {
    let note = null;
    for (const field of written) {
      const twin = document.getElementById(field.id), form = $("#unsent"), text = $("textarea", form);
      if (twin?.form.action === field.form.action) { twin.value = field.value; continue; }
      form.action = field.form.dataset.note;
      text.value += (text.value && "\n") + field.value;
      form.hidden = false;
      note = text;
    }
    written = [];
    return note;
  }
  document.addEventListener("htmx:afterSettle", (event) => { prepare(event.target); });
  // All that an answer brought is in its place, and nothing of it has been drawn yet.
  document.addEventListener("htmx:afterOnLoad", () => {
    const note = keep(), drawn = walked && document.getElementById(walked.id);
    whole();
    release?.(note);
    release = null;
    if (drawn?.matches("[tabindex]")) tell(drawn, $$(SLOT, drawn).findIndex((slot) => slot.dataset.of === walked.of));  // the oldest, when it has left
    walked = null;
  });
  // What was refused or lost is asked for again while the stream lives, and until it comes the page says that it is old.
  const stale = new Set(), follows = (part) => part?.matches?.("[data-rows], [data-live]");
  function unanswered(event) {
    const part = event.detail.elt, status = event.detail.xhr?.status ?? 0;
    if (status === 401) { signIn(); return; }
    if (!link?.open || !follows(part)) return;
    if (status >= 400 && status < 500 && status !== 429) { come(part); return; }  // another try would be refused as well
    stale.add(part);
    cutOff(LOST);
    setTimeout(() => changed(["*"]), 3000);
  }
  function come(part) {
    const last = stale.delete(part) && ![...stale].some((one) => one.isConnected);
    if (last && link.streams) connected();
  }
  for (const kind of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(kind, unanswered);
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) come(event.detail.elt); });
  prepare();
  whole();
  // What was done is said with the page where it was; the row in the address is for those without a script.
  if ($("[data-bulk] > .done")) {
    const scrolled = sessionStorage.getItem("scrolled");
    history.replaceState(null, "", location.pathname + location.search);
    if (scrolled !== null) scrollTo({ top: Number(scrolled), behavior: "instant" });
  }
  sessionStorage.removeItem("scrolled");
  if (main) link = follow(main.dataset, ON);
})();
