// Elements, and how amounts read. Text is only ever set as text: nothing that a server sends becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on` holds listeners, `vars` CSS custom properties; false and null leave an attribute out. */
export function h(tag, properties = {}, ...children) {
  return build(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return build(document.createElementNS(SVG, tag), properties, children);
}

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value == null) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    // Through the object model: the content policy refuses style attributes.
    else if (name === "vars") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...real(children));
  return element;
}

const real = (children) => children.flat(Infinity).filter((child) => child != null && child !== false);

/**
 * Replaces what is in an element. The focus stays where it was: on the same control if it is still there, on its successor
 * (of the same id, `data-key` or name) if it was made anew, else on the heading of what took its place.
 */
export function fill(element, ...children) {
  const focused = document.activeElement;
  const hadFocus = focused && focused !== element && element.contains(focused);
  element.replaceChildren(...real(children));
  if (hadFocus) keepFocus(element, focused);
}

/** Moves the focus from a removed or disabled control to one in `element`. */
export function keepFocus(element, focused) {
  const isSame = (other) => other === focused || (other.tagName === focused.tagName && nameOf(other) === nameOf(focused));
  const successor = element.contains(focused) ? focused : [...element.querySelectorAll(focused.tagName)].find(isSame);
  for (const target of [successor, element.querySelector("h1, h2, h3"), element]) {
    if (!target) continue;
    if (target !== successor && !target.hasAttribute("tabindex")) target.setAttribute("tabindex", "-1");
    target.focus({ preventScroll: true });
    if (document.activeElement === target) return;
  }
}

/** The identity of a control after it was created again. */
const nameOf = (control) => control.id || control.dataset.key || control.getAttribute("aria-label") || control.textContent;

const WHOLE = new Intl.NumberFormat("en");

export const whole = (number) => WHOLE.format(number);

export const points = (amount) => `${whole(amount)} ${amount === 1 ? "point" : "points"}`;

export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

export function seatNames(seats) {
  const sorted = [...seats].sort((one, other) => one - other);
  return `${sorted.length === 1 ? "Seat" : "Seats"} ${sorted.join(", ")}`;
}

/** Runs `task` now and `pause` milliseconds after each end, not while the page is out of sight; returns what stops it. */
export function repeat(pause, task) {
  let timer = 0;
  let stopped = false;
  const turn = async () => {
    const began = performance.now();
    if (!document.hidden) await task();
    // Slow requests, such as a large hall over a slow network, are repeated less often.
    if (!stopped) timer = setTimeout(turn, Math.max(pause, 2 * (performance.now() - began)));
  };
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
