// Count-downs, refreshing and keys. Every page works without this file.
"use strict";
(() => {
  const chinese = document.documentElement.lang.startsWith("zh");

  function told(ms) {
    const late = ms < 0;
    const minutes = Math.floor(Math.abs(ms) / 60000);
    const d = Math.floor(minutes / 1440), h = Math.floor((minutes % 1440) / 60), m = minutes % 60;
    const two = String(m).padStart(2, "0");
    let text;
    if (d) text = chinese ? `${d} 天 ${h} 小時` : `${d} d ${h} h`;
    else if (h) text = chinese ? `${h} 小時 ${two} 分` : `${h} h ${two} min`;
    else text = chinese ? `${m} 分` : `${m} min`;
    return chinese ? (late ? "逾 " : "剩 ") + text : text + (late ? " late" : " left");
  }

  function countDown() {
    const now = Date.now();
    for (const each of document.querySelectorAll("time[data-due]")) {
      const text = told(Date.parse(each.dataset.due) - now);
      if (each.textContent !== text) each.textContent = text;
    }
  }
  if (document.querySelector("time[data-due], [data-refresh]")) setInterval(countDown, 10000);

  // The counts come by themselves, as long as somebody looks; the rest is fetched now and then.
  const live = document.querySelector("[data-refresh]");
  const pace = live && Number(live.dataset.seconds) * 1000;
  let fetched = Date.now();
  let stale = false;
  let stream = null;
  async function refresh() {
    if (document.hidden || live.contains(document.activeElement)) return;
    fetched = Date.now();
    stale = false;
    try {
      const answer = await fetch(live.dataset.refresh, { credentials: "same-origin", redirect: "error" });
      // Made on our own server with everything escaped, like the page itself.
      if (answer.ok) live.innerHTML = await answer.text();
    } catch { /* The next round tries again; the page says when it was made. */ }
  }
  function tell(counts) {
    const said = { ...counts.due, critical: counts.critical, unread: counts.unread };
    for (const each of live.querySelectorAll("[data-count]")) {
      const text = (said[each.dataset.count] ?? 0).toLocaleString("en");
      if (each.textContent === text) continue;
      each.textContent = text;
      each.closest(".tile")?.classList.toggle("zero", text === "0");
    }
  }
  function watch() {
    if (document.hidden) { stream?.close(); stream = null; return; }
    if (stream || !window.EventSource) return;
    stream = new EventSource(live.dataset.live);
    let first = true;
    stream.addEventListener("pulse", (event) => {
      tell(JSON.parse(event.data));
      stale = stale || !first;
      first = false;
    });
    // Signed out, or something else is seen now: the browser asks again, or the next round does.
    stream.addEventListener("error", () => { if (stream?.readyState === EventSource.CLOSED) stream = null; });
  }
  if (live) {
    setInterval(() => {
      const age = Date.now() - fetched;
      if (stale || !stream ? age >= pace : age >= 4 * pace) refresh();
    }, 1000);
    if (live.dataset.live) {
      watch();
      document.addEventListener("visibilitychange", watch);
    }
  }

  // On a narrow screen the pages stand in one row: the present one is brought into view.
  const here = document.querySelector(".side [aria-current]");
  const row = here?.closest("ul");
  if (row && row.scrollWidth > row.clientWidth) {
    const [at, from] = [here.getBoundingClientRect(), row.getBoundingClientRect()];
    row.scrollLeft += at.left - from.left - (row.clientWidth - at.width) / 2;
  }

  const keys = document.getElementById("keys");
  for (const each of document.querySelectorAll("[data-opens]"))
    each.addEventListener("click", () => document.getElementById(each.dataset.opens).showModal());

  let going = 0;
  let at = -1;
  function move(step) {
    const rows = [...document.querySelectorAll("[data-row]")];
    if (!rows.length) return;
    rows[at]?.classList.remove("at");
    at = Math.min(rows.length - 1, Math.max(0, at + step));
    rows[at].classList.add("at");
    const link = rows[at].querySelector("a, summary, button") ?? rows[at];
    link.focus({ preventScroll: true });
    rows[at].scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (going && Date.now() - going < 1200) {
      going = 0;
      const link = document.querySelector(`.side a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (event.key === "g") going = Date.now();
    else if (event.key === "?" && keys) { event.preventDefault(); keys.showModal(); }
    else if (event.key === "/") { event.preventDefault(); document.getElementById("q")?.focus(); }
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
  });

  // On paper nothing can be opened: all is, but for the bytes as received.
  const opened = [];
  window.addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details:not([open])"))
      if (!each.querySelector("pre")) { each.open = true; opened.push(each); }
  });
  window.addEventListener("afterprint", () => {
    for (const each of opened.splice(0)) each.open = false;
  });

  // A form is sent once, however often the button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    if (form.method === "post" && !event.defaultPrevented) form.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
})();
