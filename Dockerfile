# docker build -t llmtap .
# docker run -p 8800:8800 -p 8801:8801 -v llmtap:/data \
#   -e LLMTAP_TOKEN="$(openssl rand -hex 32)" -e LLMTAP_RELAY_ALLOW_NETWORKS=172.16.0.0/12 llmtap
#
# Inside a container no client is on loopback, so both variables are required: the token opens the
# console, the networks say whose calls are forwarded (clients of a published port come from
# Docker's own network). Provider keys come with each call; none is configured here.

ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
RUN python -m venv /opt/llmtap \
 && /opt/llmtap/bin/pip install --no-cache-dir --only-binary :all: . \
 && /opt/llmtap/bin/pip uninstall --yes --quiet pip

FROM python:${PYTHON}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin llmtap \
 && install --directory --owner llmtap --group llmtap --mode 0700 /data
COPY --from=build /opt/llmtap /opt/llmtap
ENV PATH=/opt/llmtap/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LLMTAP_DATA_DIR=/data \
    LLMTAP_RELAY_LISTEN=0.0.0.0:8800 \
    LLMTAP_CONSOLE_LISTEN=0.0.0.0:8801
USER llmtap
WORKDIR /data
VOLUME /data
EXPOSE 8800 8801
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["llmtap", "status"]
ENTRYPOINT ["llmtap"]
CMD ["serve"]
