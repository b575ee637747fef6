# The official Airflow image with this provider, for docker-compose.yaml.

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY airflow_provider_workflows ./airflow_provider_workflows
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM apache/airflow:3.3.2-python3.12
# Naming Airflow's version keeps pip from replacing the image's own.
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "apache-airflow[celery,postgres,redis]==${AIRFLOW_VERSION}" /wheels/*.whl
