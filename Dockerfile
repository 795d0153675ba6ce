# One image for every role: `docker run analytics:TAG run --role=collector`, `docker run analytics:TAG migrate`.
#
# The base is pinned by digest (python 3.13.15 on Debian 13); to renew it and both lock files:
#   docker buildx imagetools inspect python:3.13-slim-trixie
ARG PYTHON=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285


# hadolint ignore=DL3006
FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source

# What changes seldom comes first: the dependencies as wheels, each pinned by its hash. One has no wheel and is built here,
# with a tool that is pinned by its hash too.
COPY requirements/image.txt requirements/build.txt requirements/
RUN python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --no-deps --require-hashes -r requirements/build.txt \
 && /opt/build/bin/python -m pip wheel --require-hashes --no-deps --no-build-isolation --wheel-dir /opt/dist -r requirements/image.txt

# Then the package, as the wheel of a release. All wheels go into an environment that has no installer of its own.
COPY pyproject.toml README.md ./
COPY analytics analytics
COPY alembic alembic
RUN /opt/build/bin/hatchling build --target wheel --directory /opt/dist \
 && python -m venv --without-pip /opt/analytics \
 && python -m pip --python /opt/analytics/bin/python install --no-index --no-deps /opt/dist/*.whl \
 && python -m pip --python /opt/analytics/bin/python check


# hadolint ignore=DL3006
FROM ${PYTHON} AS image
ARG VERSION=1.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="analytics" \
      org.opencontainers.image.description="Self-hosted event analytics: 2xx means durable, every event is counted exactly once." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-trixie"

# the final image has no tools to build or install, and its user cannot write to it
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.13/site-packages/pip* /usr/local/lib/python3.13/ensurepip \
 && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin analytics
COPY --from=build /opt/analytics /opt/analytics

# no bytecode is written beside the code; few malloc arenas, because threads would each take one out of the memory limit
ENV PATH=/opt/analytics/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 NODE_ENV=production
USER 10001:10001
EXPOSE 4001 4002 4003 4004

# health of the role on PORT; of the collector, when several roles run
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '4001') + '/health', timeout=3)"]

ENTRYPOINT ["analytics"]
CMD ["run"]
