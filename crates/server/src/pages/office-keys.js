// Keys of staff: made, with the secret shown once, and deleted.

import { h } from "./dom.js";
import { list, writer } from "./office-api.js";
import { ask } from "./office-dialogs.js";
import { field } from "./office-forms.js";
import { moment, t } from "./office-language.js";
import { actions, badge, button, growing, notify, table } from "./office-parts.js";
import { ROLES } from "./office-session.js";

export async function show(page) {
  const keys = growing({ first: () => list("/admin/keys?limit=100"), size: 100, show: (rows) => keysTable(rows, remove) });
  const create = async () => {
    const write = writer();
    let made = null;
    await ask({
      title: t("newKey"), submit: t("create"), text: t("newKeyText"),
      fields: [
        field({ name: "name", label: t("keyName"), required: true, length: 100, hint: t("keyName.hint"), wide: true }),
        field({ name: "role", label: t("role"), kind: "choice", required: true, value: "support", options: ROLES.map((role) => [role, `${t(`role.${role}`)}: ${t(`role.${role}.may`)}`]), wide: true }),
      ],
      onSubmit: async (values) => {
        made = await write("POST", "/admin/keys", values);
      },
    });
    if (!made) return;
    await keys.load();
    await showSecret(made);
  };
  const remove = async ({ keyId, name }) => {
    const write = writer();
    const isDone = await ask({ title: t("deleteKey"), text: t("deleteKeyText", { name }), submit: t("delete"), kind: "danger", onSubmit: () => write("DELETE", `/admin/keys/${keyId}`) });
    if (!isDone) return;
    notify(t("keyDeleted", { name }));
    await keys.load();
  };
  page.show([page.head(t("menu.keys"), { side: actions(button(t("newKey"), create, "primary")) }), h("p", { class: "hint" }, t("keysText")), keys.element], keys.load, 10_000);
  await keys.load();
}

/** Shows the secret of a key. It is on the page until the dialog is closed, and nowhere afterwards. */
async function showSecret({ name, key }) {
  if (!key) return notify(t("keyLost", { name }), "bad");
  const text = h("input", { class: "secret", readonly: true, value: key, "aria-label": t("secret"), on: { focus: ({ target }) => target.select() } });
  await ask({ title: t("keyMade", { name }), text: [t("keyOnce"), text], submit: t("keyKept"), onSubmit: () => {} });
  text.value = "";
  return undefined;
}

const keysTable = (rows, remove) => table({
  caption: t("menu.keys"), rows, empty: t("noKeysYet"),
  columns: [
    { name: t("keyName"), cell: ({ name }) => name },
    { name: t("role"), cell: ({ role }) => badge(t(`role.${role}`)) },
    { name: t("createdAt"), cell: ({ createdAt }) => moment(createdAt) },
    { name: t("lastUsedAt"), cell: ({ lastUsedAt }) => (lastUsedAt ? moment(lastUsedAt) : t("never")) },
    { name: "", kind: "do", cell: (row) => h("button", { type: "button", class: "small danger", "aria-label": t("deleteOf", { name: row.name }), on: { click: () => remove(row) } }, t("delete")) },
  ],
});
