// Commands and fragments over HTTP. Problems (RFC 9457) become errors with a readable message.

const csrf = () => document.querySelector('meta[name="csrf"]')?.content ?? "";

export class Problem extends Error {
  constructor(status, body) {
    const fields = Object.entries(body.errors ?? {}).map(([name, said]) => `${name}: ${[said].flat().join(", ")}`);
    super(fields.join("; ") || body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.code = body.code ?? "";
    this.body = body;
  }
}

async function answer(response) {
  if (response.redirected && new URL(response.url).pathname.startsWith("/accounts/login/")) toLogin();
  if (response.status === 401) toLogin();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  const body = isJson ? await response.json().catch(() => ({})) : await response.text();
  if (!response.ok) throw new Problem(response.status, isJson ? body : {});
  return body;
}

export function toLogin() {
  location.assign(`/accounts/login/?next=${encodeURIComponent(location.pathname)}`);
}

/** A key of one attempt. Browsers offer randomUUID only on https and on this machine. */
export function newKey() {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function read(path) {
  return answer(await fetch(path, { headers: { Accept: "application/json" }, credentials: "same-origin" }));
}

export async function fragment(path) {
  return answer(await fetch(path, { headers: { Accept: "text/html", "X-Fragment": "1" }, credentials: "same-origin" }));
}

export async function send(method, path, data = {}, key = newKey()) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf() };
  if (method === "POST") headers["Idempotency-Key"] = key;
  return answer(await fetch(path, { method, headers, body: JSON.stringify(data), credentials: "same-origin" }));
}

/** A thing with its version, for an edit that must not write over another's. */
export async function readVersion(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store" });
  const version = response.headers.get("etag");
  return { body: await answer(response), version };
}

/** An edit of the version that was read; a Problem of status 412 when it is another one by now. */
export async function sendVersion(path, data, version) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf(), "If-Match": version, "Idempotency-Key": newKey() };
  return answer(await fetch(path, { method: "PATCH", headers, body: JSON.stringify(data), credentials: "same-origin" }));
}

export const post = (path, data, key) => send("POST", path, data, key);
