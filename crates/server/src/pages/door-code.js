// The code of a ticket: its bytes, and whether one of the keys signed it. See docs/guide/tickets.md.

import { verifyAsync } from "./vendor-ed25519.js";

const PREFIX = "T1.";
const LENGTH = 105;
const SIGNED = 41;
const CONTEXT = new TextEncoder().encode("onsale-ticket-1\0");

/** A longer text is no ticket and is not sent to the server. */
export const CODE_MAX = 300;

export function bytesOf(text) {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const uuid = (bytes) => hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

/** The seat number in the id of a ticket: 17 bits after its time. */
export function seatOf(ticketId) {
  const id = BigInt(`0x${ticketId.replace(/-/g, "")}`);
  return Number((((id >> 64n) & 0xfffn) << 5n) | ((id >> 57n) & 0x1fn));
}

/** What a code contains: `{keyId, ticketId, performanceId, seat, signed, signature}`; null if it is no code. */
export function parse(code) {
  const text = code.startsWith(PREFIX) ? code.slice(PREFIX.length) : "";
  if (!/^[A-Za-z0-9_-]{140}$/.test(text)) return null;
  const bytes = bytesOf(text);
  if (bytes.length !== LENGTH || bytes[0] !== 1) return null;
  const signed = bytes.subarray(0, SIGNED);
  return {
    keyId: hex(bytes.subarray(1, 5)), ticketId: uuid(bytes.subarray(5, 21)), performanceId: uuid(bytes.subarray(21, 37)),
    seat: new DataView(bytes.buffer).getUint32(37), signed, signature: bytes.subarray(SIGNED),
  };
}

/** Whether one of these keys (`[{keyId, publicKey}]`) signed a parsed code. */
export async function isSigned({ keyId, signed, signature }, keys) {
  const message = new Uint8Array([...CONTEXT, ...signed]);
  for (const { publicKey } of keys.filter((key) => key.keyId === keyId)) {
    if (await verifyAsync(signature, message, bytesOf(publicKey))) return true;
  }
  return false;
}

/** What staff typed or a camera read: `{code}`, `{ticketId}`, or null if it is neither. */
export function shown(text) {
  const trimmed = text.trim();
  if (trimmed.startsWith(PREFIX) && trimmed.length <= CODE_MAX) return { code: trimmed };
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(trimmed) ? { ticketId: trimmed.toLowerCase() } : null;
}
