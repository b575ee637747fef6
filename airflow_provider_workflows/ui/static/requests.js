// Requests to the data routes beside this page, and the rhythm in which a page makes them by itself.

/** At most one request of the page's own in this many milliseconds. */
export const INTERVAL = 2000;
/** After so many milliseconds without a response the page says so. */
const SLOW = 10000;
/** After so many a request is given up, and made again later: a connection may be lost without a word. */
const LOST = 60000;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const SIGNED_OUT = "You are not signed in to Airflow any more. Sign in again, and reload this page.";

async function refusal(response) {
  let words = "";
  try {
    const body = await response.json();
    words = typeof body.detail === "string" ? body.detail : "";
  } catch {
    // It is no JSON: a proxy may have responded.
  }
  if (response.status === 401) words = SIGNED_OUT;
  return new Refused(response.status, words || `The API server responded with status ${response.status}.`);
}

/** What this browser's clock is ahead of the server's, in seconds. */
let ahead = 0;

/** Return the present time of the server, in seconds since the epoch. */
export function now() {
  return Date.now() / 1000 - ahead;
}

/** A data route with fixed parameters: it is asked for what has changed since. */
export class Source {
  constructor(path, parameters) {
    this.address = new URL(path, document.baseURI);
    this.address.search = new URLSearchParams(
      Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== ""),
    ).toString();
    this.etag = null;
    this.value = null;
  }

  /** Return the present value, and whether it is another one than before. */
  async read() {
    const headers = this.etag === null ? {} : { "If-None-Match": this.etag };
    const response = await fetch(this.address, {
      headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(LOST),
    });
    const date = Date.parse(response.headers.get("Date") ?? "");
    if (!Number.isNaN(date)) ahead = Date.now() / 1000 - date / 1000;
    if (response.status === 304) return { value: this.value, isNew: false };
    if (!response.ok) throw await refusal(response);
    this.etag = response.headers.get("ETag");
    this.value = await response.json();
    return { value: this.value, isNew: true };
  }
}

/** A request whose response is late. */
export class Late extends Error {}

/** Return what a page says of a failure. */
export function wordsOf(error) {
  if (error instanceof Refused) return error.message;
  if (error instanceof Late) return "The API server takes long to respond. What is shown here is older.";
  return "The API server cannot be reached. The page tries again.";
}

/** Send what a person has asked for by a button. */
export async function send(path, parameters, body) {
  const address = new URL(path, document.baseURI);
  address.search = new URLSearchParams(parameters).toString();
  const response = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
    credentials: "same-origin",
  });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/**
 * Calls `step` again and again while it returns true: at most once in INTERVAL, and never while the page is not
 * seen. After failures it waits longer, up to a minute.
 */
export class Rhythm {
  constructor(step, failed) {
    this.step = step;
    this.failed = failed;
    this.timer = null;
    this.isBusy = false;
    this.goesOn = true;
    this.failures = 0;
    this.last = -INTERVAL;
    document.addEventListener("visibilitychange", () => {
      // Once, also for what is done: somebody may have cleared the task in the meantime.
      if (!document.hidden) this.begin();
    });
  }

  /** Call `step` as soon as the interval allows, and go on. */
  begin() {
    this.goesOn = true;
    this.#plan();
  }

  #plan() {
    if (this.timer !== null || this.isBusy || document.hidden || !this.goesOn) return;
    const pause = Math.min(INTERVAL * 2 ** this.failures, 60000);
    this.timer = setTimeout(() => this.#run(), Math.max(0, this.last + pause - performance.now()));
  }

  async #run() {
    this.timer = null;
    if (document.hidden) return;
    this.isBusy = true;
    // Unless it is begun again meanwhile, as by a button: what is under way may then be of before.
    this.goesOn = false;
    this.last = performance.now();
    const late = setTimeout(() => this.failed(new Late()), SLOW);
    try {
      const goesOn = await this.step();
      this.goesOn ||= goesOn;
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      this.goesOn ||= !(error instanceof Refused && [401, 403, 404].includes(error.status));
      this.failed(error);
    } finally {
      clearTimeout(late);
      this.isBusy = false;
    }
    this.#plan();
  }
}
