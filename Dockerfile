# geomon, small and without root:
#   docker build -t geomon .
#   docker run --rm geomon zones where 114.06,22.54
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY zones zones
COPY geomon geomon
RUN python -m venv /opt/geomon && /opt/geomon/bin/pip install --no-cache-dir '.[gateway]'

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home --home-dir /var/lib/geomon --shell /usr/sbin/nologin geomon
COPY --from=build /opt/geomon /opt/geomon
# Inside a container, 127.0.0.1 would be heard by nobody: what is let out of it is the host's to say.
ENV PATH=/opt/geomon/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GEOMON_DATA_DIR=/var/lib/geomon/data \
    GEOMON_WEB=0.0.0.0:6066 \
    GEOMON_GATEWAY_HTTP=0.0.0.0:6070 \
    GEOMON_GATEWAY_WEB=0.0.0.0:6071
USER geomon
WORKDIR /var/lib/geomon
EXPOSE 6066 6070 6071
ENTRYPOINT ["geomon"]
CMD ["worker"]
