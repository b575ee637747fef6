// The page of a single run.
import { Actions } from "./actions.js";
import { details, element, fill, note, section, webLink } from "./dom.js";
import { count, duration, time } from "./format.js";
import { now } from "./requests.js";

const WORDS = {
  running: ["running", "The run goes on, or was not seen to end."],
  succeeded: ["succeeded", "The run has succeeded."],
  failed: ["failed", "The run has ended in a failure status."],
  unknown: ["unknown", "Nobody knows whether there is a run: the response to the call that starts it was lost."],
  not_submitted: ["not_submitted", "There is no run."],
};

/**
 * A run is polled after a part of its age, within bounds, and where a webhook is awaited as seldom as these allow: return
 * how many polls there were until a moment, and when the next one is due, if all went on as it was last reported.
 */
export function estimatedPolls(report, fractionOfAge, at) {
  if (report.outcome !== "running" || !report.submitted_at) return null;
  const shortest = report.poll_interval || 0;
  const longest = Math.max(report.max_poll_interval || 0, shortest);
  if (shortest <= 0) return null;
  let moment = report.last_poll_at;
  let polls = report.polls ?? 0;
  if (!moment) {
    // The first poll is at once, or when the report says.
    moment = report.next_poll_at ?? report.submitted_at;
    if (moment > at) return { polls, next: moment };
    polls += 1;
  }
  for (let index = 0; index < 100000; index += 1) {
    const byAge = Math.min(Math.max(shortest, (moment - report.submitted_at) * fractionOfAge), longest);
    const pause = report.webhooks ? longest : byAge;
    if (moment + pause > at) return { polls, next: moment + pause };
    moment += pause;
    polls += 1;
  }
  return null;
}

export class RunView {
  constructor(node, ids, resume) {
    this.summary = element("div");
    this.actions = new Actions(ids, resume);
    node.append(section("Run", this.summary), section("What can be done", this.actions.node));
    this.data = null;
  }

  redraw() {}

  takeTurn() {
    return false;
  }

  isBehind() {
    return false;
  }

  tick() {
    if (this.data !== null && !this.data.is_over) this.#show(this.data);
  }

  show(data) {
    this.data = data;
    this.actions.show(data);
    this.#show(data);
    return (WORDS[data.report.outcome] ?? ["", data.report.outcome])[1];
  }

  #show({ report, is_over: isOver, fraction_of_age: fractionOfAge }) {
    const [colour, words] = WORDS[report.outcome] ?? ["due", report.outcome];
    const { error } = report;
    const goesOn = !isOver && report.outcome === "running";
    const estimate = goesOn ? estimatedPolls(report, fractionOfAge, now()) : null;
    const isOwn = estimate !== null && estimate.polls > (report.polls ?? 0);
    fill(this.summary,
      element("p", { class: "state" }, element("span", { class: `dot ${colour}` }), words),
      error ? note("error", element("p", {}, element("strong", {}, `${error.type}: `), error.message),
        details([["code", error.code], ["fingerprint", error.fingerprint]])) : null,
      details([
        ["status", report.status],
        ["workflow id", report.workflow_id],
        ["case id", report.case_id],
        ["record id", report.record_id],
        ["parameters id", report.parameters_id],
        ["workflow definition", report.workflow_definition_id],
        ["revision", report.revision],
        ["execution version", report.execution_version],
        ["connection", report.conn_id],
        ["submitted", time(report.submitted_at)],
        ["expires", report.outcome === "running" ? time(report.expires_at) : null],
        ["ended", time(report.ended_at)],
        ["took", report.submitted_at && report.ended_at ? duration(report.ended_at - report.submitted_at) : null],
        ["awaited", goesOn && report.webhooks ? "a webhook is awaited; until it arrives, the run is polled now and then" : null],
        ["polls", isOwn ? `about ${count(estimate.polls)} (estimated by the poll schedule; reported: ${count(report.polls)})` : count(report.polls)],
        ["last poll", time(report.last_poll_at)],
        ["next poll", goesOn ? nextPoll(report, estimate) : null],
        ["dashboard", report.dashboard_url ? webLink(report.dashboard_url, "this run in the service's dashboard") : null],
        ["this was reported", time(report.at)],
      ]));
  }
}

function nextPoll(report, estimate) {
  const isReported = report.next_poll_at && report.next_poll_at > now();
  if (!isReported && estimate === null) return null;
  const due = isReported ? report.next_poll_at : estimate.next;
  const words = isReported ? ` (in ${duration(due - now())})` : " (estimated by the poll schedule)";
  if (report.webhooks) return ["at the latest at ", time(due), words];
  return [isReported ? "" : "about ", time(due), words];
}
