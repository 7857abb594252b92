// The calls that this server has: a view or a control whose call is missing is not shown.

import { h } from "./dom.js";

const calls = new Set((document.querySelector('meta[name="onsale-calls"]')?.content ?? "").split(","));

/** Whether the server has a call, such as `GET /admin/live`. */
export const offers = (call) => calls.has(call);

const PERFORMANCE = "/admin/performances/{performanceId}";
const LECTURE = "/admin/lectures/{lectureId}";

/** The call without which a view has nothing to show. */
const NEEDS = [
  [/^$/, "GET /admin/live"],
  [/^concerts$/, "GET /admin/concerts"],
  [/^concerts\//, "GET /admin/concerts/{concertId}"],
  [/^performances\/[^/]+(\/seats)?$/, `GET ${PERFORMANCE}`],
  [/\/seats$/, `GET ${PERFORMANCE}/seats`],
  [/attendees$/, `GET ${PERFORMANCE}/attendees`],
  [/^lectures$/, "GET /admin/lectures"],
  [/^lectures\//, `GET ${LECTURE}`],
];

/** Whether the view at this address can be shown. */
export const hasView = (path) => NEEDS.every(([pattern, call]) => !pattern.test(path) || offers(call));

/** A link to a view; only its words if there is no such view. */
export const viewLink = (path, words) => (hasView(path) ? h("a", { href: `#/${path}`, "data-key": path }, words) : words);

export const CAN = {
  block: offers(`POST ${PERFORMANCE}/blocks`) && offers(`POST ${PERFORMANCE}/unblocks`),
  addSeats: offers(`POST ${PERFORMANCE}/seats`),
  cancelPerformance: offers(`POST ${PERFORMANCE}/cancel`) && offers(`GET ${PERFORMANCE}/cancellation`),
  exportAttendees: offers(`GET ${PERFORMANCE}/attendees.csv`),
  changeLecture: offers(`PATCH ${LECTURE}`),
  cancelLecture: offers(`POST ${LECTURE}/cancel`) && offers(`GET ${LECTURE}/cancellation`),
  applicants: offers(`GET ${LECTURE}/applicants`),
  exportApplicants: offers(`GET ${LECTURE}/applicants.csv`),
  removeApplicant: offers(`DELETE ${LECTURE}/applications/{userId}`),
};
