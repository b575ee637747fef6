# The official Airflow image with this provider, for docker-compose.yaml. docs/containers.md says more.
#
# `make image-digests` pins both images by digest, where it can ask their registry.
ARG PYTHON_IMAGE=python:3.12-slim
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12

FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
COPY constraints.txt ./
# What pyproject.toml needs to build. Without isolation below, these versions build the wheel, and no newer ones.
RUN pip install --no-cache-dir --constraint constraints.txt hatch-fancy-pypi-readme hatchling
COPY pyproject.toml README.md LICENSE ./
COPY airflow_provider_workflows ./airflow_provider_workflows
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM ${AIRFLOW_IMAGE}
# As constraints.txt has Airflow's version too, pip neither replaces the image's own nor accepts an image of another version.
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/tmp/constraints.txt \
    pip install --no-cache-dir --constraint /tmp/constraints.txt \
    "apache-airflow[celery,postgres,redis]==${AIRFLOW_VERSION}" /wheels/*.whl
# A volume that is mounted here gets the owner of this folder.
RUN mkdir --parents /opt/airflow/results
# The user airflow, as in the official image: a number, so that Kubernetes sees that it is not root.
USER 50000
