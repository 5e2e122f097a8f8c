# syntax=docker/dockerfile:1
# One image for every process: the command chooses. `docker build -t paysaga .`

FROM python:3.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/paysaga
# The locked dependencies first: they change seldom, and this layer is kept.
COPY requirements/runtime.txt requirements/runtime.txt
RUN /opt/paysaga/bin/pip install --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY workflows workflows
COPY activities activities
COPY worker worker
COPY api api
COPY paysaga paysaga
RUN /opt/paysaga/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --create-home paysaga \
    && install --directory --owner=paysaga /data
COPY --from=build /opt/paysaga /opt/paysaga
ENV PATH=/opt/paysaga/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    API_HOST=0.0.0.0 API_PORT=8009
# What a process writes: a SQLite file, the simulator's state. Mount a volume here to keep it.
WORKDIR /data
USER paysaga
EXPOSE 8009
# For the API. The other processes name a check of their own, or none.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['API_PORT'] + '/health', timeout=4)"]
CMD ["python", "-m", "api"]
