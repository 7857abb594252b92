// Presale codes of a concert: a list with their uses, new codes, and their deletion.

import { h } from "./dom.js";
import { list, writer } from "./office-api.js";
import { ask } from "./office-dialogs.js";
import { field, given } from "./office-forms.js";
import { moment, number, t } from "./office-language.js";
import { actions, button, growing, notify, table } from "./office-parts.js";

const USES_MAX = 1_000_000;
const TEXT = /^[A-Za-z0-9_-]{1,64}$/;

/** The codes of the concert at `path`. Returns `{element, load}`. */
export function codes(path) {
  const found = growing({ first: () => list(`${path}/codes?limit=50`), show: (rows) => codesTable(rows, remove) });
  const create = async () => {
    const made = await askCode(path);
    if (!made) return;
    notify(t("codeMade", { code: made.code }));
    await found.load();
  };
  const remove = async (code) => {
    const write = writer();
    const isDone = await ask({
      title: t("deleteCode"), text: t("deleteCodeText", { code }), submit: t("deleteCode"), kind: "danger",
      onSubmit: () => write("DELETE", `${path}/codes/${code}`),
    });
    if (!isDone) return;
    notify(t("codeDeleted", { code }));
    await found.load();
  };
  return { element: h("div", {}, found.element, actions(button(t("newCode"), create))), load: found.load };
}

const codesTable = (rows, remove) => table({
  caption: t("codes"), rows, empty: t("noCodes"),
  columns: [
    { name: t("presaleCode"), cell: ({ code }) => h("code", {}, code) },
    { name: t("codeUsed"), kind: "amount", cell: ({ used, uses }) => `${number(used)} / ${number(uses)}` },
    { name: t("usesPerUser"), kind: "amount", cell: ({ usesPerUser }) => number(usesPerUser) },
    { name: t("validFrom"), cell: ({ from }) => moment(from) },
    { name: t("validUntil"), cell: ({ until }) => moment(until) },
    { name: "", cell: ({ code }) => button(t("deleteCodeOf", { code }), () => remove(code), "danger") },
  ],
});

/** A dialog for a new code. Returns it, or null. */
async function askCode(path) {
  const write = writer();
  let made = null;
  const count = (name, value) => field({ name, label: t(name), kind: "number", min: 1, max: USES_MAX, required: true, value });
  await ask({
    title: t("newCode"), text: t("newCodeText"), submit: t("create"),
    fields: [
      field({ name: "code", label: t("presaleCode"), length: 64, pattern: TEXT, wide: true, hint: t("presaleCode.hint") }),
      count("uses", 100), count("usesPerUser", 1),
      field({ name: "from", label: t("validFrom"), kind: "moment" }), field({ name: "until", label: t("validUntil"), kind: "moment" }),
    ],
    onSubmit: async (values) => {
      [made] = await write("POST", `${path}/codes`, [given(values)]);
    },
  });
  return made;
}
