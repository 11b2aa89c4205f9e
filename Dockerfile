# One image for every part: `airlock serve`, `airlock proxy`, `airlock ingest`, `airlock console`.

FROM python:3.11.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
RUN pip install "uv==0.13.8"
WORKDIR /app
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --frozen --all-extras --no-install-project
COPY decision decision
COPY enforcement enforcement
COPY ingest ingest
COPY analytics analytics
COPY console console
COPY airlock airlock
COPY rego rego
COPY tools tools
# The hot modules are compiled here; what compiles them stays behind.
RUN uv sync --frozen --all-extras \
 && .venv/bin/python tools/compile.py --require \
 && uv sync --frozen --all-extras --no-dev \
 && .venv/bin/python -m compileall -q decision enforcement ingest analytics console airlock

FROM python:3.11.13-slim-bookworm
RUN groupadd --gid 10001 airlock \
 && useradd --uid 10001 --gid airlock --no-create-home --home-dir /data --shell /usr/sbin/nologin airlock \
 && install --directory --owner airlock --group airlock --mode 0700 /data
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AIRLOCK_DATA_DIR=/data
WORKDIR /app
USER airlock
VOLUME /data
ENTRYPOINT ["airlock"]
CMD ["--help"]
