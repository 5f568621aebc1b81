# syntax=docker/dockerfile:1
#
#   docker build -t codex-proxy .
#   docker run --rm -it -v codex-proxy:/data codex-proxy login --device
#   docker run -d -p 127.0.0.1:8787:8787 -v codex-proxy:/data -e CODEX_PROXY_API_KEY=… codex-proxy
#
# The login: `login --device` shows a code, and `login` takes back the address at which the browser ends up. A browser that is to
# come back by itself has to reach port 1455, on which `login` listens on the loopback address alone: publishing the port does not
# help, `--network host` does.

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

# glibc, libgcc and libstdc++, root certificates, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/codex-proxy /usr/local/bin/codex-proxy
# A new volume takes over the owner.
COPY --from=build --chown=nonroot:nonroot /data /data
ENV CODEX_PROXY_HOME=/data
VOLUME /data
USER nonroot
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s CMD ["/usr/local/bin/codex-proxy", "health"]
ENTRYPOINT ["/usr/local/bin/codex-proxy"]
CMD ["serve"]
