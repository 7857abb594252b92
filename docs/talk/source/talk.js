// The deck: keys, touch, language, notes, overview. Without this script all slides are shown below each other.
(() => {
  "use strict";
  const page = document.documentElement;
  const query = new URLSearchParams(location.search);
  const slides = [...document.querySelectorAll(".slide")];
  const byId = (id) => document.getElementById(id);
  const panel = byId("panel");
  const started = Date.now();
  let at = 0;

  page.classList.add("deck");
  if (query.has("notes")) page.classList.add("print-notes");

  /** Seconds as minutes and seconds. */
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  /** Seconds that the slides before this one and itself should take. */
  const planned = (index) => slides.slice(0, index + 1).reduce((sum, slide) => sum + Number(slide.dataset.seconds), 0);
  const isKorean = () => page.lang === "ko";

  function tick() {
    const seconds = (Date.now() - started) / 1000;
    const of = clock(planned(slides.length - 1));
    byId("elapsed").textContent = isKorean() ? `지난 시간 ${clock(seconds)} / ${of}` : `Elapsed ${clock(seconds)} of ${of}`;
    byId("elapsed").classList.toggle("late", seconds > planned(at));
    byId("planned").textContent = isKorean()
      ? `이 슬라이드는 ${clock(planned(at))}까지`
      : `This slide ends at ${clock(planned(at))}`;
  }

  function showNotes() {
    const slide = slides[at];
    const notes = slide.querySelector(`.notes[lang="${page.lang}"]`);
    panel.querySelector(".said").replaceChildren(...[...notes.childNodes].map((node) => node.cloneNode(true)));
    for (const other of slides) other.classList.toggle("with-notes", !panel.hidden);
    byId("notes").setAttribute("aria-pressed", String(!panel.hidden));
    tick();
  }

  function show(index, { quiet = false } = {}) {
    at = Math.max(0, Math.min(slides.length - 1, index));
    slides.forEach((slide, number) => slide.classList.toggle("now", number === at));
    byId("count").textContent = `${at + 1} / ${slides.length}`;
    page.style.setProperty("--done", String((at + 1) / slides.length));
    showNotes();
    if (location.hash !== `#${slides[at].id}`) history.replaceState(null, "", `#${slides[at].id}`);
    if (page.classList.contains("overview")) slides[at].scrollIntoView({ block: "nearest" });
    else if (!quiet) slides[at].focus({ preventScroll: true });
    for (const other of windows) if (!other.closed) other.postMessage({ onsaleTalk: at }, "*");
  }

  function speak(language) {
    page.lang = language;
    document.title = isKorean() ? "onsale: 수많은 사람과 좌석 쉰 개" : "onsale: a crowd and fifty seats";
    byId("back").setAttribute("aria-label", isKorean() ? "이전 슬라이드" : "Previous slide");
    byId("next").setAttribute("aria-label", isKorean() ? "다음 슬라이드" : "Next slide");
    showNotes();
  }

  function overview(isOn) {
    if (isOn) panel.hidden = true;
    page.classList.toggle("overview", isOn);
    byId("overview").setAttribute("aria-pressed", String(isOn));
    show(at);
  }

  const toggleOverview = () => overview(!page.classList.contains("overview"));
  const toggleNotes = () => {
    if (page.classList.contains("overview")) overview(false);
    panel.hidden = !panel.hidden;
    showNotes();
  };
  const otherLanguage = () => speak(isKorean() ? "en" : "ko");

  // A second window for the speaker, with the notes. Both show the same slide.
  const windows = window.opener ? [window.opener] : [];
  const openSpeaker = () => {
    const address = new URL(location.href);
    address.searchParams.set("lang", page.lang);
    address.searchParams.set("speaker", "");
    const opened = window.open(address, "onsale-speaker", "width=1100,height=800");
    if (opened) windows.push(opened);
  };
  addEventListener("message", ({ data, source }) => {
    if (windows.includes(source) && Number.isInteger(data?.onsaleTalk) && data.onsaleTalk !== at) show(data.onsaleTalk, { quiet: true });
  });

  const KEYS = {
    ArrowRight: () => show(at + 1),
    PageDown: () => show(at + 1),
    " ": () => show(at + 1),
    ArrowLeft: () => show(at - 1),
    PageUp: () => show(at - 1),
    Home: () => show(0),
    End: () => show(slides.length - 1),
    Escape: () => overview(false),
    Enter: () => overview(false),
    o: toggleOverview,
    n: toggleNotes,
    l: otherLanguage,
    s: openSpeaker,
    f: () => (document.fullscreenElement ? document.exitFullscreen() : page.requestFullscreen?.()),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Space and Enter press the button or follow the link that has the focus.
    const isPress = event.key === " " || event.key === "Enter";
    if (isPress && event.target.closest("button, a")) return;
    // The arrow keys move a chart that is wider than the screen.
    if (event.key.startsWith("Arrow") && event.target.matches(".chart") && event.target.scrollWidth > event.target.clientWidth) return;
    const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });

  // A swipe to the side, with one finger. Upright movements scroll, and a chart on a phone moves by itself.
  let touched = null;
  addEventListener("touchstart", ({ touches, target }) => {
    const isPan = target.closest(".chart");
    touched = touches.length === 1 && !isPan ? { x: touches[0].clientX, y: touches[0].clientY } : null;
  }, { passive: true });
  addEventListener("touchend", ({ changedTouches }) => {
    if (!touched || page.classList.contains("overview")) return;
    const [x, y] = [changedTouches[0].clientX - touched.x, changedTouches[0].clientY - touched.y];
    touched = null;
    if (Math.abs(x) > 48 && Math.abs(x) > 1.6 * Math.abs(y)) show(at + (x < 0 ? 1 : -1));
  });

  byId("back").addEventListener("click", () => show(at - 1));
  byId("next").addEventListener("click", () => show(at + 1));
  byId("overview").addEventListener("click", toggleOverview);
  byId("notes").addEventListener("click", toggleNotes);
  byId("language").addEventListener("click", otherLanguage);
  for (const chart of document.querySelectorAll("figure.chart")) chart.tabIndex = 0;
  slides.forEach((slide, index) => {
    slide.tabIndex = -1;
    slide.addEventListener("click", (event) => {
      if (!page.classList.contains("overview")) return;
      event.preventDefault();
      at = index;
      overview(false);
    });
  });
  const named = () => slides.findIndex((slide) => `#${slide.id}` === location.hash);
  addEventListener("hashchange", () => named() >= 0 && named() !== at && show(named()));

  if (query.has("speaker")) panel.hidden = false;
  at = Math.max(0, named());
  speak(query.get("lang") === "ko" ? "ko" : "en");
  show(at, { quiet: true });
  setInterval(tick, 1000);
})();
