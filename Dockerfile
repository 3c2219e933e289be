# The command line in a container. On a CPU:
#   docker build -t backtracking .
#   docker run --rm -v "$PWD/runs:/study/runs" backtracking run -c demo
# With CUDA, on a base that brings Python and torch:
#   docker build -t backtracking:cuda --build-arg BASE=pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime .
ARG BASE=python:3.12-slim
FROM ${BASE}

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --constraint constraints.txt .

RUN useradd --create-home researcher && mkdir -p /study && chown researcher /study
USER researcher
WORKDIR /study
ENV OMP_WAIT_POLICY=PASSIVE HF_HUB_DISABLE_TELEMETRY=1
ENTRYPOINT ["backtracking"]
CMD ["--help"]
