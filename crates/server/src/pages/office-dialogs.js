// Questions above the page: a confirmation, or a small form. The focus returns to the control that opened it.

import { h } from "./dom.js";
import { field, form } from "./office-forms.js";
import { t } from "./office-language.js";

let opened = 0;

/**
 * A dialog with a form. `onSubmit` may throw a problem, which is shown in the dialog; without one the dialog closes. Resolves
 * with true once it was done, with false if it was cancelled.
 */
export function ask({ title, text, fields = [], submit, kind = "primary", onSubmit, extra = [] }) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const id = `dialog-${(opened += 1)}`;
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": id });
    let isDone = false;
    const close = () => dialog.close();
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(isDone);
    });
    const run = async (values) => {
      await onSubmit(values);
      isDone = true;
      close();
    };
    dialog.append(h("h2", { id }, title), ...[text].flat().filter(Boolean).map((words) => (typeof words === "string" ? h("p", {}, words) : words)),
      form({ fields, submit, kind, onSubmit: run, onCancel: close, extra }));
    document.body.append(dialog);
    dialog.showModal();
    // A change that cannot be undone is not one key away.
    (dialog.querySelector("input, textarea, select") ?? dialog.querySelector(kind === "danger" ? 'button[type="button"]' : "button")).focus();
  });
}

/** A field whose value must be exactly this text, for a change that cannot be undone. */
export function typed(text) {
  const one = field({ name: "typed", label: t("typeToConfirm", { text }), required: true, length: 400 });
  const check = one.check;
  one.check = () => {
    if (!check()) return false;
    const isSame = one.read().replace(/\s+/g, " ") === text.trim().replace(/\s+/g, " ");
    one.show(isSame ? null : t("wrong.typed"));
    return isSame;
  };
  return one;
}
