# syntax=docker/dockerfile:1
#
#   docker build -t codex-proxy .
#   docker run --rm -it -v codex-proxy:/data codex-proxy login --device
#   docker run -d -p 127.0.0.1:8787:8787 -v codex-proxy:/data -e CODEX_PROXY_API_KEY=… codex-proxy
#
# To log in, `login --device` shows a code, and `login` reads back the URL the browser is redirected to. For the browser to
# reach the program by itself, use `--network host`: `login` listens on port 1455 of the loopback address only, so
# publishing the port does not help.

FROM rust:1.89-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake libclang-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --package codex-proxy-bin \
    && cp target/release/codex-proxy /usr/local/bin/ \
    && mkdir -m 700 /data

# Contains glibc, libgcc, libstdc++ and root certificates, but no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/codex-proxy /usr/local/bin/codex-proxy
# A new volume inherits this owner.
COPY --from=build --chown=nonroot:nonroot /data /data
ENV CODEX_PROXY_HOME=/data
VOLUME /data
USER nonroot
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s CMD ["/usr/local/bin/codex-proxy", "health"]
ENTRYPOINT ["/usr/local/bin/codex-proxy"]
CMD ["serve"]
