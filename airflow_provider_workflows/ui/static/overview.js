// The page Workflows: the last days by definition, what is at work, which connections have trouble, and the search.
import { element, fill, note, outerLink, say, table } from "./dom.js";
import { count, counted, countedOutcome, duration, OUTCOMES, time } from "./format.js";
import { Refused, Rhythm, Source, wordsOf } from "./requests.js";
import { followTheme } from "./theme.js";

const node = (id) => document.getElementById(id);
/** What is at work is asked for again after this many turns of the rhythm: half a minute. */
const TURNS = 15;

followTheme();

/** Return a link to the tab of a task in Airflow. */
function taskLink({ dag_id: dagId, run_id: runId, task_id: taskId, map_index: mapIndex }) {
  const ids = [dagId, runId, taskId].map(encodeURIComponent);
  const place = ["dags", ids[0], "runs", ids[1], "tasks", ids[2], ...(mapIndex >= 0 ? ["mapped", mapIndex] : [])];
  const address = new URL(`../../${place.join("/")}/plugin/workflow`, document.baseURI);
  return outerLink(address.href, `${dagId} / ${taskId}${mapIndex >= 0 ? ` [${mapIndex}]` : ""}, ${runId}`);
}

function outcomes(counts) {
  const names = [...Object.keys(OUTCOMES), ...Object.keys(counts).filter((name) => !(name in OUTCOMES))];
  const parts = names.map((name) => [name, counts[name]]).filter(([, number]) => number > 0);
  return element("ul", { class: "legend" }, parts.map(([name, number]) => element("li", {},
    element("span", { class: `dot ${name}` }), countedOutcome(number, name))));
}

const source = new Source("data/overview", {});
let turn = 0;

const rhythm = new Rhythm(async () => {
  turn += 1;
  if (turn % TURNS !== 1) return true;
  const { value, isNew } = await source.read();
  fill(node("problem"));
  if (isNew) show(value);
  return true;
}, (error) => {
  turn = 0;
  fill(node("problem"), note("error", element("p", {}, wordsOf(error))));
});

function show({ definitions, waiting, failed, failed_tasks: failedTasks, trouble, tasks, cut }) {
  fill(node("state"), `${counted(tasks, "task")} of the last seven days, of the DAGs that you may see.`,
    cut ? ` There are more: these are the latest, back to ` : "", cut ? time(cut) : "");
  fill(node("trouble"), trouble.length === 0 ? null : note("warning",
    element("p", {}, element("strong", {}, "Connections with trouble now")),
    element("ul", {}, trouble.map((each) => element("li", {},
      `${each.conn_id}: ${each.reason}`, each.since ? [", since ", time(each.since)] : "", "; seen by ", taskLink(each.task))))));
  fill(node("waiting"), waiting.length === 0 ? element("p", {}, "Nothing is at work.") : table(
    "Tasks that submit, wait or fetch, the oldest first",
    [{ name: "task" }, { name: "definition" }, { name: "what" }, { name: "since" }, { name: "ended", number: true }],
    waiting.map((each) => element("tr", {},
      element("td", { class: "words" }, taskLink(each.task)),
      element("td", { class: "id" }, each.definition),
      element("td", {}, each.phase),
      element("td", {}, time(each.since)),
      element("td", { class: "number" }, each.rows === null ? "" : `${count(each.ended)} of ${count(each.rows)}`)))));
  fill(node("failed"), failed.length === 0 ? element("p", {}, "None has failed.") : table(
    failed.length < failedTasks
      ? `The latest ${count(failed.length)} of ${count(failedTasks)}` : "By their last try, the latest first",
    [{ name: "task" }, { name: "outcomes" }, { name: "reported" }],
    failed.map((each) => element("tr", {},
      element("td", { class: "words" }, taskLink(each.task)),
      element("td", { class: "words" }, outcomes(each.outcomes)),
      element("td", {}, time(each.at))))));
  fill(node("definitions"), definitions.length === 0 ? element("p", {}, "There was none.") : table(
    "Runs by definition: rows of batches count as runs",
    [{ name: "definition" }, { name: "single runs", number: true }, { name: "batches", number: true }, { name: "outcomes" },
      { name: "median", number: true }, { name: "95 %", number: true }],
    definitions.map((each) => element("tr", {},
      element("td", { class: "id" }, each.definition),
      element("td", { class: "number" }, count(each.runs)),
      element("td", { class: "number" }, count(each.batches)),
      element("td", { class: "words" }, outcomes(each.outcomes)),
      element("td", { class: "number" }, about(each.median, each.is_rounded)),
      element("td", { class: "number" }, about(each.p95, each.is_rounded))))));
}

function about(seconds, isRounded) {
  return seconds === null ? "" : `${isRounded ? "about " : ""}${duration(seconds)}`;
}

node("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = node("wanted").value.trim();
  if (wanted === "") return;
  say(node("found"), "Searching …");
  try {
    const { value } = await new Source("data/search", { wanted }).read();
    fill(node("found"), found(value));
  } catch (error) {
    fill(node("found"), note("error", element("p", {}, error instanceof Refused ? error.message : "The API server cannot be reached.")));
  }
});

function found({ tasks, searched_batches: searched, unread_batches: unread, cut }) {
  const remarks = [`${counted(searched, "batch", "batches")} searched.`];
  if (unread) remarks.push(`${count(unread)} could not be read from here, or have no index yet.`);
  if (cut) remarks.push("There are more, which were not searched: the search ends after ten seconds.");
  return [
    tasks.length === 0 ? element("p", {}, "No task of a DAG that you may see has it.") : element("ul", {}, tasks.map((each) =>
      element("li", {}, taskLink(each.task), each.row === null ? "" : `, row ${count(each.row)}`))),
    element("p", { class: "muted" }, remarks.join(" ")),
  ];
}

rhythm.begin();
