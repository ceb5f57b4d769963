# Both processes in one container. PostgreSQL and WAHA have their own: compose.yaml.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN useradd --system --uid 10001 --create-home switchboard && install --directory --owner switchboard var

COPY requirements.txt ./
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements.txt

# Room by room, so that neither a local .venv nor var comes along.
COPY config.toml supervisord.conf ./
COPY settings settings
COPY database database
COPY migrations migrations
COPY models models
COPY waha waha
COPY slack slack
COPY operations operations
COPY bot bot
COPY daemon daemon

USER switchboard
VOLUME /app/var
EXPOSE 8080
# supervisord stays up when a program does not; the daemon's own answer says whether it works.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD [".venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
CMD [".venv/bin/python", "-m", "supervisor.supervisord", "--configuration", "supervisord.conf"]
