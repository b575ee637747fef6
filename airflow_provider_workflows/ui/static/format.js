// Numbers, times and durations in words.
import { element } from "./dom.js";

const numbers = new Intl.NumberFormat("en");

export function count(number) {
  return numbers.format(number ?? 0);
}

/** Return "1 row", "2 rows"; of what takes no "s", such as a batch, `many` is the word for several. */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function share(part, whole) {
  if (!whole) return "0 %";
  const percent = (100 * part) / whole;
  return percent > 0 && percent < 1 ? "under 1 %" : percent > 99 && percent < 100 ? "over 99 %" : `${Math.round(percent)} %`;
}

/** Return a duration in words of two units at most. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return seconds < 600 && seconds % 60 >= 1 ? `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Airflow keeps the time zone that its pages show in the browser's storage. */
function timeZone() {
  try {
    const zone = JSON.parse(localStorage.getItem("timezone"));
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return typeof zone === "string" ? zone : undefined;
  } catch {
    return undefined;
  }
}

const zone = timeZone();
const moments = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: zone });
const hours = new Intl.DateTimeFormat("sv-SE", { timeStyle: "medium", timeZone: zone });

export function moment(seconds) {
  return moments.format(new Date(seconds * 1000));
}

export function hour(seconds) {
  return hours.format(new Date(seconds * 1000));
}

/** Return a moment as an element, whose title has it in UTC. */
export function time(seconds) {
  if (seconds === null || seconds === undefined) return null;
  const date = new Date(seconds * 1000);
  return element("time", { datetime: date.toISOString(), title: date.toISOString() }, moment(seconds));
}

export const OUTCOMES = {
  succeeded: "succeeded",
  failed: "failed",
  running: "running",
  result_missing: "result missing",
  unknown: "unknown",
  not_submitted: "not submitted",
  skipped: "bad row, skipped",
  due: "still to be submitted",
};

const OUTCOMES_OF_SEVERAL = {
  result_missing: "results missing",
  skipped: "bad rows, skipped",
};

/** Return "1 bad row, skipped", "2 bad rows, skipped". */
export function countedOutcome(number, name) {
  const word = OUTCOMES[name] ?? name;
  return counted(number, word, OUTCOMES_OF_SEVERAL[name] ?? word);
}

export const MEANINGS = {
  failed: "the workflow ended in a failure status",
  running: "the workflow goes on, or was not seen to end",
  result_missing: "the workflow succeeded, and its result could not be fetched",
  unknown: "nobody knows whether there is a run",
  not_submitted: "there is no run",
  skipped: "the row was bad, and nothing was sent for it",
};
