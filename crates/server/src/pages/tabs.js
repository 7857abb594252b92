// Messages between the tabs of this browser.

const NAME = "onsale";

/** Dispatches messages of other tabs: the event's type is the kind, `detail` the message. A tab does not get its own messages. */
export const tabs = new EventTarget();

const hear = ({ kind, detail }) => tabs.dispatchEvent(new CustomEvent(kind, { detail }));

const channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(NAME) : null;
channel?.addEventListener("message", ({ data }) => hear(data));

/** Sends a message to all other tabs. */
export function tell(kind, detail) {
  if (channel) return channel.postMessage({ kind, detail });
  try {
    // Browsers before 2022: a change of the storage is seen by the other tabs.
    // Removed at once: it may have a queue token, and the event carries the value.
    localStorage.setItem(`${NAME}:message`, JSON.stringify({ kind, detail, at: Math.random() }));
    localStorage.removeItem(`${NAME}:message`);
  } catch {
    // No storage either: each tab then learns from the server alone.
  }
}

if (!channel) {
  addEventListener("storage", ({ key, newValue }) => {
    if (key === `${NAME}:message` && newValue) hear(JSON.parse(newValue));
  });
}
