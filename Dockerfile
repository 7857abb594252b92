# syntax=docker/dockerfile:1
# The program alone: built in one stage, kept in another that has no shell and no package of its own.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Registry and target stay in the builder's cache, so that a rebuild compiles what has changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --profile dist --locked -p onsale-server \
    && install target/dist/onsale /onsale \
    && install -d -o 65532 -g 65532 /var/lib/onsale

# glibc, libgcc and the certificates that TLS is checked by; user 65532; nothing to log into.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /onsale /usr/local/bin/onsale
# Where SQLite and the files of `consume` go, unless a volume is put there. With a read-only root, CSV exports need a writable
# /tmp too (or TMPDIR).
COPY --from=build --chown=65532:65532 /var/lib/onsale /var/lib/onsale
WORKDIR /var/lib/onsale
USER 65532:65532
# A port can be published only if the server listens beyond the container's loopback. So `docker run` without ONSALE_AUTH
# ends with 2 and names the choices, because any client could act for any user: docs/guide/deploy.md has the command lines.
ENV ONSALE_LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# Requests the address in ONSALE_LISTEN. To listen elsewhere, set that variable: this check does not see the flag --listen.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s CMD ["/usr/local/bin/onsale", "health"]
ENTRYPOINT ["/usr/local/bin/onsale"]
CMD ["serve"]
