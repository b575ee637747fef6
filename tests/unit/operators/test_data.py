"""What comes from other tasks is data: it is sent as it is, never rendered; templates of the DAG's author are."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, XComArg, literal, task, task_group
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.models import PartyDetails
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.redaction import unwrap
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.shards import merge, shard
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from tests.unit.batch.test_sharding import written
from tests.unit.tasks import TaskInstance, TaskStateStore

SECRET = "{{ conn.workflows_default.password }}"
#: What data may be: templates, and text that Python would read as something else.
TEXTS = [
    SECRET,
    "{{ 7 * 7 }}",
    "a {{ 7 * 7 }} b",
    "{% raw %}",
    "{# a note #}",
    "00123",
    "1_000",
    "[1, 2]",
    "{'first_name': 1}",
    "None",
    "cases.json",
]

pytestmark = pytest.mark.usefixtures("connected", "short_pauses")


class Task(TaskInstance):
    """The first instance of a mapped task, which can pull what other tasks have returned."""

    dag_id, run_id, task_id, map_index = "nightly", "manual", "task", 0
    _upstream_map_indexes: dict[str, int] = {}  # noqa: RUF012  (Airflow's own name)

    def xcom_pull(self, task_ids: str, key: str = "return_value", default: Any = None, **_: Any) -> Any:
        return json.loads(self.xcoms[task_ids])[key] if task_ids in self.xcoms else default


class Run:
    """A DAG whose tasks return what they are told to, and the rendering of one that follows."""

    def __init__(self, sandbox: Sandbox, **of_dag: Any) -> None:
        self.dag = DAG("nightly", **of_dag)
        self.ti = Task()
        self.conf: dict[str, Any] = {}
        self._secret = sandbox.secret

    def output(self, value: Any, key: str = "return_value") -> XComArg:
        """Return the output of a new task."""

        @task(task_id=f"upstream_{len(self.ti.xcoms)}")
        def upstream() -> None: ...

        output: XComArg = upstream()  # type: ignore[assignment]
        self.ti.xcoms[output.operator.task_id] = json.dumps({key: value})  # type: ignore[attr-defined]
        return output if key == "return_value" else output[key]  # type: ignore[index, no-any-return]

    def rendered(self, operator: Any) -> Any:
        """Return the task that is executed, once Airflow has rendered its templates."""
        operator = operator.prepare_for_execution()
        self.context: Any = {
            "dag": self.dag,
            "dag_run": SimpleNamespace(conf=self.conf),
            "params": {},
            "conn": SimpleNamespace(workflows_default=SimpleNamespace(password=self._secret)),
            "ti": self.ti,
            "task_instance": self.ti,
            "task": operator,
            "map_index_template": operator.map_index_template,
            "task_state_store": TaskStateStore(),
            "outlet_events": OutletEventAccessors(),
        }
        operator.render_template_fields(self.context, self.dag.get_template_env())
        return self.context["task"]

    def returned(self, operator: Any) -> Any:
        return self.rendered(operator).execute(self.context)


Make = Callable[..., Any]


def _in_group(run: Run, make: Make, expand: Callable[[Any], Any], argument: Callable[[Any], Any]) -> Any:
    @task_group
    def one(given: Any) -> None:
        make(task_id="task", **argument(given))

    expand(one)
    return run.dag.get_task("one.task")


#: Beside what is mapped, where that is not the argument in question.
ELSE = {"workflows_conn_id": ["workflows_default"]}

#: All ways by which a value of another task becomes an argument: from the run, the operator, the argument's name
#: and the value, to a task.
WAYS: dict[str, Callable[[Run, Any, str, Any], Any]] = {
    "output": lambda run, make, name, value: make(**{name: run.output(value)}),
    "output by its key": lambda run, make, name, value: make(**{name: run.output(value, "key")}),
    "output as text": lambda run, make, name, value: make(**{name: str(run.output(value))}),
    "pulled in a template": lambda run, make, name, value: make(
        **{name: f"{{{{ ti.xcom_pull('{run.output(value).operator.task_id}') }}}}"}  # type: ignore[attr-defined]
    ),
    "conf": lambda run, make, name, value: (
        run.conf.update(given=value) or make(**{name: "{{ dag_run.conf.given }}"})  # type: ignore[func-returns-value]
    ),
    "output in partial": lambda run, make, name, value: make.partial(**{name: run.output(value)}).expand(
        **ELSE
    ),
    "pulled in partial": lambda run, make, name, value: make.partial(**{name: str(run.output(value))}).expand(
        **ELSE
    ),
    "expand": lambda run, make, name, value: make.partial().expand(**{name: run.output([value])}),
    "expand, by function": lambda run, make, name, value: make.partial().expand(
        **{name: run.output([[value]]).map(lambda each: each[0])}
    ),
    "expand, zipped": lambda run, make, name, value: make.partial().expand(
        **{name: run.output([value]).zip(run.output([1])).map(lambda pair: pair[0])}
    ),
    "expand, concatenated": lambda run, make, name, value: make.partial().expand(
        **{name: run.output([value]).concat(run.output([value]))}
    ),
    "expand, list of outputs": lambda run, make, name, value: make.partial().expand(
        **{name: [run.output(value)]}
    ),
    "expand_kwargs": lambda run, make, name, value: make.partial().expand_kwargs(run.output([{name: value}])),
    "expand_kwargs, by function": lambda run, make, name, value: make.partial().expand_kwargs(
        run.output([value]).map(lambda each: {name: each})
    ),
    "expand_kwargs, list of outputs": lambda run, make, name, value: make.partial().expand_kwargs(
        [run.output({name: value})]
    ),
    "expand_kwargs, dict with an output": lambda run, make, name, value: make.partial().expand_kwargs(
        [{name: run.output(value)}]
    ),
    "expand_kwargs in place of partial": lambda run, make, name, value: make.partial(
        **{name: "{{ nothing }}"}
    ).expand_kwargs(run.output([{name: value}]), strict=False),
    "mapped group": lambda run, make, name, value: _in_group(
        run, make, lambda one: one.expand(given=run.output([value])), lambda given: {name: given}
    ),
    "mapped group by expand_kwargs": lambda run, make, name, value: _in_group(
        run, make, lambda one: one.expand_kwargs(run.output([{"given": value}])), lambda given: {name: given}
    ),
    "mapped group over a literal list": lambda run, make, name, value: _in_group(
        run, make, lambda one: one.expand(given=[value]), lambda given: {name: given}
    ),
}


class Maker:
    """Makes tasks of one operator, with some of its arguments."""

    def __init__(self, kind: Any, **arguments: Any) -> None:
        self.kind = kind
        self.arguments = {"task_id": "task", **arguments}

    def __call__(self, **more: Any) -> Any:
        return self.kind(**self.arguments | more)

    def partial(self, **more: Any) -> Any:
        return self.kind.partial(**self.arguments | more)


@pytest.fixture(params=[False, True], ids=["text", "native"])
def new_run(request: pytest.FixtureRequest, connected: Sandbox) -> Callable[..., Run]:
    return functools.partial(Run, connected, render_template_as_native_obj=request.param)


def received_case(sandbox: Sandbox, case_id: str) -> dict[str, Any]:
    (received,) = received_cases(sandbox, [case_id])
    return received


def received_parties(sandbox: Sandbox, case_ids: Iterable[str]) -> Iterator[PartyDetails]:
    with sandbox.client() as client:
        for case_id in case_ids:
            party = client.read_case(case_id).party_details
            assert party is not None
            yield party


def received_cases(sandbox: Sandbox, case_ids: Iterable[str]) -> list[dict[str, Any]]:
    return [dict(party.personal or {}) for party in received_parties(sandbox, case_ids)]


def received_companies(sandbox: Sandbox, case_ids: Iterable[str]) -> list[dict[str, Any]]:
    return [dict(party.business or {}) for party in received_parties(sandbox, case_ids)]


def received_parameters(sandbox: Sandbox, parameters_id: str) -> Any:
    sandbox.define(DEFINITION, seconds=0.0)
    with sandbox.client() as client:
        workflow = client.run_workflow(DEFINITION, client.create_case().case_id, parameters_id)
        return client.read_result(workflow.id).json_object()["parameters"]


class TestOfACase:
    @pytest.mark.costly(12)
    @pytest.mark.parametrize("way", WAYS)
    def test_a_field_is_sent_as_it_came(
        self, connected: Sandbox, new_run: Callable[..., Run], way: str
    ) -> None:
        case_ids = []
        for text in TEXTS:
            with (run := new_run()).dag:
                task = WAYS[way](run, Maker(CreateCaseOperator), "first_name", text)
            case_ids.append(run.returned(task))

        assert [case["firstName"] for case in received_cases(connected, case_ids)] == TEXTS

    @pytest.mark.costly(12)
    @pytest.mark.parametrize("way", WAYS)
    def test_the_fields_of_a_dict_are_sent_as_they_came(
        self, connected: Sandbox, new_run: Callable[..., Run], way: str
    ) -> None:
        case_ids = []
        for text in TEXTS:
            row = {"first_name": text, "phone": {"country_code": "48", "number": text}}
            with (run := new_run()).dag:
                task = WAYS[way](run, Maker(CreateCaseOperator), "case", row)
            case_ids.append(run.returned(task))

        assert received_cases(connected, case_ids) == [
            {"firstName": text, "phone": {"countryCode": "48", "number": text}} for text in TEXTS
        ]

    @pytest.mark.parametrize(
        "argument",
        [
            {"first_name": "{output}"},
            {"case": {"first_name": "{output}"}},
            {"case": {"phone": {"country_code": "48", "number": "{output}"}}},
            {"phone": {"country_code": "48", "number": "{output}"}},
        ],
        ids=json.dumps,
    )
    @pytest.mark.parametrize("mapped", [False, True], ids=["plain", "partial"])
    def test_an_output_in_a_dict_of_the_author_is_sent_as_it_came(
        self, connected: Sandbox, new_run: Callable[..., Run], argument: dict[str, Any], mapped: bool
    ) -> None:
        with (run := new_run()).dag:
            given = _with_output(argument, run.output(SECRET))
            made = Maker(CreateCaseOperator)
            task = made.partial(**given).expand(last_name=["Doe"]) if mapped else made(**given)

        case = received_case(connected, run.returned(task))

        assert SECRET in str(case)
        assert connected.secret not in str(case)

    def test_it_shows_in_no_rendered_template_and_is_masked(
        self, new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        masked: list[str] = []
        monkeypatch.setattr("airflow_provider_workflows.operators.redaction.mask", masked.extend)
        with (run := new_run()).dag:
            task = CreateCaseOperator.partial(task_id="case").expand(
                case=run.output([{"first_name": "Qzxa {{ 1 }}"}])
            )

        rendered = run.rendered(task)

        assert _serialize_rendered_fields(rendered)["case"] == {"first_name": "***"}
        assert "Qzxa {{ 1 }}" in masked

    def test_it_does_not_show_where_a_template_beside_it_fails(
        self,
        new_run: Callable[..., Run],
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        with (run := new_run()).dag:
            task = CreateCaseOperator.partial(
                task_id="case", case={"first_name": run.output("Qzxa"), "last_name": "{{ nothing.there }}"}
            ).expand(company_name=run.output(["Qzxb"]))

        with pytest.raises(Exception, match="nothing"):
            run.rendered(task)

        logged = caplog.text + "".join(capfd.readouterr())
        assert "nothing.there" in logged
        assert "Qzx" not in logged


def _with_output(argument: Any, output: Any) -> Any:
    if isinstance(argument, dict):
        return {name: _with_output(value, output) for name, value in argument.items()}
    return output if argument == "{output}" else argument


@pytest.mark.costly(12)
@pytest.mark.parametrize("way", WAYS)
def test_parameters_are_sent_as_they_came(connected: Sandbox, new_run: Callable[..., Run], way: str) -> None:
    given = {"texts": TEXTS, "deep": {"first_name": SECRET, "list": [[SECRET]]}, "number": 7, "none": None}
    with (run := new_run()).dag:
        maker = Maker(CreateParametersOperator, workflow_definition_id=DEFINITION)
        task = WAYS[way](run, maker, "parameters", given)

    received = received_parameters(connected, run.returned(task))

    assert received == given


ARGUMENTS: dict[Any, dict[str, Any]] = {
    CreateCaseOperator: {},
    CreateParametersOperator: {"workflow_definition_id": DEFINITION, "parameters": {}},
    RunWorkflowOperator: {"workflow_definition_id": DEFINITION},
    GetWorkflowResultOperator: {"workflow_id": DEFINITION},
    WorkflowStatusSensor: {"workflow_id": DEFINITION},
    RunWorkflowBatchOperator: {
        "workflow_definition_id": DEFINITION,
        "items": [{"first_name": "Jo"}],
        "output_path": "/nowhere",
    },
}
#: Each templated argument of each operator.
TEMPLATED = [
    (kind, name)
    for kind in ARGUMENTS
    for name in kind.template_fields
    # The DAG's author makes a SqlTable: only texts within it are templates.
    if name != "result_table"
]


def _ways_for(name: str) -> list[str]:
    return [way for way in WAYS if name != "workflows_conn_id" or not way.endswith("in partial")]


class TestOfEachOperator:
    @pytest.mark.costly(24)
    @pytest.mark.parametrize(
        ("kind", "name"), TEMPLATED, ids=[f"{kind.__name__}-{name}" for kind, name in TEMPLATED]
    )
    def test_each_argument_takes_what_other_tasks_give_as_it_is(
        self, new_run: Callable[..., Run], kind: Any, name: str
    ) -> None:
        others = {key: value for key, value in ARGUMENTS[kind].items() if key != name}

        rendered = {}
        for way in _ways_for(name):
            with (run := new_run()).dag:
                task = WAYS[way](run, Maker(kind, **others), name, SECRET)
            rendered[way] = unwrap(getattr(run.rendered(task), name))

        assert rendered == dict.fromkeys(_ways_for(name), SECRET)

    @pytest.mark.parametrize(
        ("kind", "name"),
        [(kind, name) for kind, name in TEMPLATED if name.endswith("_id")],
        ids=lambda value: value if isinstance(value, str) else value.__name__,
    )
    def test_nothing_is_sent_of_an_id_that_is_a_template(
        self, connected: Sandbox, new_run: Callable[..., Run], kind: Any, name: str
    ) -> None:
        others = {key: value for key, value in ARGUMENTS[kind].items() if key != name}
        with (run := new_run()).dag:
            task = kind.partial(task_id="task", **others).expand_kwargs(run.output([{name: SECRET}]))

        with pytest.raises((errors.WorkflowsError, AirflowException)) as raised:
            run.returned(task)

        assert connected.counts.total_requests == 0
        assert connected.secret not in str(raised.value)


class TestOfABatch:
    @pytest.mark.costly(12)
    @pytest.mark.thorough
    @pytest.mark.parametrize("way", [way for way in WAYS if way != "output as text"])
    def test_rows_and_parameters_are_sent_as_they_came(
        self, connected: Sandbox, new_run: Callable[..., Run], tmp_path: Path, way: str
    ) -> None:
        definition_id = connected.define(seconds=0.0)
        rows = [
            {"company_name": text, "parameters": {"text": text}, "key": str(n)}
            for n, text in enumerate(TEXTS)
        ]
        with (run := new_run()).dag:
            maker = Maker(
                RunWorkflowBatchOperator,
                workflow_definition_id=definition_id,
                output_path=str(tmp_path),
                deferrable=False,
                poll_interval=0.02,
                max_poll_interval=0.02,
            )
            task = WAYS[way](run, maker, "items", rows)

        run.returned(task)

        (table,) = tmp_path.rglob("results.jsonl")
        results = [json.loads(line) for line in table.read_text().splitlines()]
        companies = received_companies(connected, [row["case_id"] for row in results])
        assert [company["companyName"] for company in companies] == TEXTS
        assert [row["result"]["parameters"] for row in results] == [{"text": text} for text in TEXTS]


def rows_of(folder: Path) -> Iterator[Any]:
    yield from map(json.loads, (folder / "items.jsonl").read_text().splitlines())


ROWS = [{"company_name": text} for text in TEXTS]


class TestOfShards:
    @pytest.mark.parametrize(
        "made",
        {
            "literal list": lambda run, folder: shard(ROWS, folder=folder),
            "literal list by name": lambda run, folder: shard(items=ROWS, folder=folder),
            "output": lambda run, folder: shard(run.output(ROWS), folder=folder),
            "outputs in a list": lambda run, folder: shard(
                items=[run.output(row) for row in ROWS], folder=folder
            ),
            "pulled in a template": lambda run, folder: shard(str(run.output(ROWS)), folder=folder),
            "expand": lambda run, folder: shard.partial(folder=folder).expand(items=run.output([ROWS])),
            "expand over a literal list": lambda run, folder: shard.partial(folder=folder).expand(
                items=[ROWS]
            ),
            "expand_kwargs": lambda run, folder: shard.partial(folder=folder).expand_kwargs(
                run.output([{"items": ROWS}])
            ),
            "output in partial": lambda run, folder: shard.partial(
                items=run.output(ROWS), folder=folder
            ).expand(size=[5000]),
        }.items(),
        ids=lambda made: made[0],
    )
    def test_rows_are_written_as_they_came(
        self, new_run: Callable[..., Run], tmp_path: Path, made: tuple[str, Callable[[Run, str], Any]]
    ) -> None:
        with (run := new_run()).dag:
            operator = made[1](run, str(tmp_path)).operator

        run.returned(operator)

        assert list(rows_of(tmp_path)) == ROWS
        assert "conn." not in str(_serialize_rendered_fields(run.context["task"]))

    def test_rows_do_not_show_where_a_template_beside_them_fails(
        self,
        new_run: Callable[..., Run],
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        with (run := new_run()).dag:
            operator = shard(
                items=[{"first_name": "Qzxa", "personal_number": 44051401359}], folder="{{ nothing.there }}"
            ).operator

        with pytest.raises(Exception, match="nothing"):
            run.rendered(operator)

        logged = caplog.text + "".join(capfd.readouterr())
        assert "nothing.there" in logged
        assert [value for value in ("Qzxa", "44051401359") if value in logged] == []

    def test_summaries_are_written_as_they_came(self, new_run: Callable[..., Run], tmp_path: Path) -> None:
        summary = written(tmp_path, "shard", rows=1, **{SECRET: 1})
        with (run := new_run()).dag:
            operator = (
                merge.partial(output=str(tmp_path))
                .expand_kwargs(  # type: ignore[attr-defined]
                    run.output([{"summaries": [summary]}])
                )
                .operator
            )

        run.returned(operator)

        assert SECRET in (tmp_path / "index.json").read_text()


class TestTemplatesOfTheAuthor:
    """In a run of 2026-01-31 whose conf has a limit of 7 and a number of 00123."""

    @pytest.fixture
    def run(self, new_run: Callable[..., Run]) -> Run:
        run = new_run(user_defined_macros={"ds": "2026-01-31"})
        run.conf = {"limit": 7, "number": "00123"}
        return run

    @pytest.mark.parametrize(
        ("make", "first_name"),
        [
            (lambda _: CreateCaseOperator(task_id="t", first_name="of {{ ds }}"), "of 2026-01-31"),
            (lambda _: CreateCaseOperator(task_id="t", first_name=literal("of {{ ds }}")), "of {{ ds }}"),
            (
                lambda _: CreateCaseOperator(task_id="t", first_name="0{{ dag_run.conf.number }}"),
                "000123",
            ),
            (
                lambda _: CreateCaseOperator(task_id="t", case={"first_name": "{{ dag_run.conf.number }}"}),
                "00123",
            ),
            (
                lambda run: CreateCaseOperator.partial(task_id="t", first_name="of {{ ds }}").expand(
                    last_name=run.output(["Doe"])
                ),
                "of 2026-01-31",
            ),
            (
                lambda run: CreateCaseOperator.partial(
                    task_id="t", case={"first_name": "of {{ ds }}"}
                ).expand(last_name=run.output(["Doe"])),
                "of 2026-01-31",
            ),
            (
                lambda run: CreateCaseOperator.partial(task_id="t", first_name="of {{ ds }}").expand_kwargs(
                    run.output([{"last_name": "Doe"}])
                ),
                "of 2026-01-31",
            ),
            (
                lambda _: CreateCaseOperator.partial(task_id="t").expand(first_name=["of {{ ds }}"]),
                "of 2026-01-31",
            ),
            (
                lambda _: CreateCaseOperator.partial(task_id="t").expand(
                    case=[{"first_name": "of {{ ds }}"}]
                ),
                "of 2026-01-31",
            ),
            (
                lambda _: CreateCaseOperator.partial(task_id="t").expand_kwargs(
                    [{"first_name": "of {{ ds }}"}]
                ),
                "of 2026-01-31",
            ),
            (
                lambda run: (
                    run.dag.default_args.update(first_name="of {{ ds }}")
                    or CreateCaseOperator.partial(task_id="t").expand_kwargs(
                        run.output([{"last_name": "Doe"}])
                    )
                ),
                "of 2026-01-31",
            ),
            (
                lambda _: CreateCaseOperator(
                    task_id="t", first_name="{% set kept %}1_{{ dag_run.conf.limit }}{% endset %}{{ kept }}"
                ),
                "1_7",
            ),
        ],
        ids=itertools.count(),
    )
    def test_are_rendered(
        self, connected: Sandbox, run: Run, make: Callable[[Run], BaseOperator], first_name: str
    ) -> None:
        with run.dag:
            task = make(run)

        assert received_case(connected, run.returned(task))["firstName"] == first_name

    def test_keep_the_type_of_a_single_expression(self, connected: Sandbox, run: Run) -> None:
        with run.dag:
            task = CreateParametersOperator.partial(
                task_id="t",
                parameters={"limit": "{{ dag_run.conf.limit }}", "day": "{{ ds }}", "text": "{{ 1 }}{{ 2 }}"},
            ).expand(workflow_definition_id=run.output([DEFINITION]))

        received = received_parameters(connected, run.returned(task))

        assert received == {"limit": 7, "day": "2026-01-31", "text": "12"}

    def test_name_the_rows_of_a_shard_and_its_folder(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "2026-01-31.csv").write_text("first_name\nJo\n")
        with run.dag:
            operator = shard.partial(size=1).expand(items=[f"{tmp_path}/{{{{ ds }}}}.csv"]).operator  # type: ignore[attr-defined]

        (reference,) = run.returned(operator)
        assert (reference["items"], reference["rows"]) == (f"{tmp_path}/2026-01-31.csv", 1)

    def test_are_read_from_a_file_where_an_operator_says_so_and_data_never_is(
        self, connected: Sandbox, new_run: Callable[..., Run], tmp_path: Path
    ) -> None:
        class FromFile(CreateParametersOperator):
            template_ext = (".json",)

        (tmp_path / "note.json").write_text("of {{ ds }}")
        run = new_run(template_searchpath=str(tmp_path), user_defined_macros={"ds": "2026-01-31"})
        note = {"note": "note.json"}
        with run.dag:
            authors = FromFile.partial(task_id="authors", parameters=note).expand(
                workflow_definition_id=run.output([DEFINITION])
            )
            data = FromFile.partial(task_id="data", workflow_definition_id=DEFINITION).expand(
                parameters=run.output([note])
            )

        received = [received_parameters(connected, run.returned(task)) for task in (authors, data)]

        assert received == [{"note": "of 2026-01-31"}, {"note": "note.json"}]


@pytest.mark.parametrize("native", [None, False, True])
def test_what_an_operator_itself_says_of_native_rendering_changes_nothing(
    connected: Sandbox, native: bool | None
) -> None:
    with (run := Run(connected)).dag:
        task = CreateCaseOperator(
            task_id="t", first_name="1_0{{ 0 }}", last_name="00123", render_template_as_native_obj=native
        )

    received = received_case(connected, run.returned(task))

    assert received == {"firstName": "1_00", "lastName": "00123"}


@pytest.mark.parametrize(
    "make",
    [
        lambda run: CreateCaseOperator.partial(task_id="t").expand(email_address=["p@example.org"]),
        lambda run: CreateCaseOperator.partial(task_id="t").expand(
            email_address=run.output(["p@example.org"])
        ),
        lambda run: CreateCaseOperator.partial(task_id="t").expand_kwargs(
            [{"email_address": "p@example.org"}]
        ),
        lambda run: CreateCaseOperator.partial(task_id="t", email_address="p@example.org").expand(
            first_name=["Jo"]
        ),
    ],
    ids=["expand", "expand of an output", "expand_kwargs", "partial"],
)
@pytest.mark.filterwarnings("ignore:Setting email")
def test_the_address_of_a_person_is_mapped_beside_that_which_airflow_alerts(
    connected: Sandbox, make: Callable[[Run], Any]
) -> None:
    with (run := Run(connected, default_args={"email": "operations@example.org"})).dag:
        task = make(run)

    case = received_case(connected, run.returned(task))

    assert case["email"] == "p@example.org"
    assert run.context["task"].email == "operations@example.org"
