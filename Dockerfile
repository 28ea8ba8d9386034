# The pipeline with its scheduler and the extras of databases, buckets and alerts; docker-compose.yml says which container runs what.
FROM python:3.12-slim AS build

RUN python -m venv /opt/attribution
WORKDIR /build
COPY requirements-image.lock ./
RUN /opt/attribution/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements-image.lock
COPY setup.py pyproject.toml README.md ./
COPY pipeline pipeline
COPY targets targets
RUN /opt/attribution/bin/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /build/dist . \
    && /opt/attribution/bin/python -m pip install --no-cache-dir --no-deps --no-index dist/*.whl

# The environment alone: neither sources nor what built them.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 attribution \
    && mkdir --parents /work/data /state \
    && chown --recursive attribution /work /state
COPY --from=build /opt/attribution /opt/attribution
COPY luigi.cfg /etc/attribution/luigi.cfg

ENV PATH=/opt/attribution/bin:$PATH \
    LUIGI_CONFIG_PATH=/etc/attribution/luigi.cfg \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /work
USER attribution
CMD ["attribution-daily", "--help"]
