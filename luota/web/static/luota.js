// What the pages do beyond HTML: times in the viewer's zone, live changes, copying, keys, the theme.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // -- times ---------------------------------------------------------------------------------------
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
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
    for (const time of $$("time[data-when], time[data-until]", root)) {
      const at = Date.parse(time.dateTime), away = (at - now) / 1000;
      const said = away > 0 ? `in ${span(away)}` : `${span(-away)} ago`;
      if (time.textContent !== said) time.textContent = said;
      if (!time.dataset.local) { time.title = exact.format(at); time.dataset.local = "1"; }
    }
    for (const time of $$("time[data-exact]:not([data-local])", root)) {
      time.title = time.textContent;
      time.textContent = exact.format(Date.parse(time.dateTime));
      time.dataset.local = "1";
    }
  }
  setInterval(() => { if (!document.hidden) tick(); }, 1000);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

  // -- live: one stream a page, closed while nobody looks ---------------------------------------------
  const main = $("main[data-stream]");
  let source = null, pending = new Set(), timer = null, lost = null, asking = false;
  async function refresh() {
    timer = null;
    asking = true;
    const ids = pending;
    pending = new Set();
    const rows = $$("[data-row]").map((row) => row.dataset.row).filter((id) => ids.has(id) || ids.has("*"));
    const list = $("[data-rows]");
    for (const part of $$("[data-live]")) {
      const wanted = part.dataset.live.split(" ");
      if (ids.has("*") || wanted.includes("*") || wanted.some((id) => ids.has(id))) htmx.trigger(part, "luota:changed");
    }
    if (list && (rows.length || list.dataset.counts)) {
      const path = list.dataset.rows + (list.dataset.rows.includes("?") ? "&" : "?");
      // One after the other, a hundred rows at most: of what is asked meanwhile htmx keeps the last alone.
      for (let at = 0; at === 0 || at < rows.length; at += 100) {
        const wanted = rows.slice(at, at + 100).join(",");
        try { await htmx.ajax("GET", `${path}ids=${wanted}`, { swap: "none", source: list }); } catch { break; }
      }
    }
    asking = false;
    if (pending.size) timer = setTimeout(refresh, 400);
  }
  function changed(ids) {
    for (const id of ids) pending.add(id);
    if (timer === null && !asking) timer = setTimeout(refresh, 400);
  }
  function open() {
    if (!main || source || document.hidden) return;
    source = new EventSource(main.dataset.stream);
    source.addEventListener("changed", (event) => changed(JSON.parse(event.data)));
    source.addEventListener("signedout", () => { close(); location.assign("/sign-in"); });
    source.onopen = () => {
      clearTimeout(lost); lost = null;
      document.documentElement.dataset.connected = "yes";
      if (!$("#lost").hidden) { $("#lost").hidden = true; changed(["*"]); }
    };
    source.onerror = () => {
      document.documentElement.dataset.connected = "no";
      if (lost === null) lost = setTimeout(() => { $("#lost").hidden = false; }, 1500);
      if (source && source.readyState === EventSource.CLOSED) { close(); setTimeout(open, 3000); }
    };
  }
  function close() { if (source) { source.close(); source = null; } }
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

  // -- copying, theme, keys, forms -----------------------------------------------------------------------
  function prepare(root = document) {
    for (const button of $$("[data-copy]", root)) button.hidden = false;
    for (const button of $$("[data-theme-switch]", root)) button.hidden = false;
    for (const part of $$("[data-script]", root)) part.hidden = false;
    for (const field of $$("input[data-zone-here]", root)) if (!field.value) field.value = zone;
    for (const place of $$("[data-zone]", root)) place.textContent = zone;
    for (const element of $$("[data-focus]", root)) element.focus();
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
    const bulk = $("[data-bulk]");
    if (bulk) bulk.classList.toggle("bulk-chosen", $("input[name=monitor]:checked") !== null);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape") { for (const menu of $$("details.menu[open]")) menu.open = false; if (typing) event.target.blur(); return; }
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
  // What is open stays open when its surroundings are swapped.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", (event) => { opened = $$("details[id][open]", event.detail.target).map((one) => one.id); });
  document.addEventListener("htmx:afterSwap", () => { for (const id of opened) { const one = document.getElementById(id); if (one) one.open = true; } });
  document.addEventListener("htmx:afterSettle", (event) => prepare(event.target));
  document.addEventListener("htmx:oobAfterSwap", (event) => { prepare(event.detail.target?.parentElement ?? document); });
  document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr.status === 401) location.assign("/sign-in"); });
  prepare();
  open();
})();
