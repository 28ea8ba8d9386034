# The pipeline with its scheduler; docker-compose.yml says which container runs what.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 attribution

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY setup.py pyproject.toml README.md luigi.cfg ./
COPY pipeline pipeline
COPY targets targets
COPY bin/daily /usr/local/bin/attribution-daily
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

ENV LUIGI_CONFIG_PATH=/app/luigi.cfg
WORKDIR /work
RUN chown attribution /work
USER attribution
CMD ["luigi", "--module", "pipeline", "Report", "--help"]
