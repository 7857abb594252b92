// A user, found by the id.

import { h } from "./dom.js";
import { t } from "./office-language.js";
import { notify } from "./office-parts.js";

const USER = /^[A-Za-z0-9_-]{1,64}$/;

export async function show(page) {
  const input = h("input", { id: "user", name: "user", "data-key": "user", type: "search", maxlength: 64, autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-describedby": "user-hint" });
  const submit = (event) => {
    event.preventDefault();
    const id = input.value.trim();
    if (USER.test(id)) location.hash = `#/users/${id}`;
    else notify(t("wrong.user"), "bad");
  };
  page.show([page.head(t("menu.users")), h("form", { class: "form", role: "search", on: { submit } },
    h("div", { class: "field wide" }, h("label", { for: "user" }, t("userId")), input, h("p", { class: "hint", id: "user-hint" }, t("userId.hint"))),
    h("div", { class: "row actions" }, h("button", { class: "primary" }, t("showUser"))))]);
}
