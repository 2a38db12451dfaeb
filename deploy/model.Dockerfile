# The model as an image, so that pods of embedding start without a package index. Build the image `broadsheet/broadsheet` first:
#   docker build -f deploy/model.Dockerfile -t broadsheet/model .
# It downloads the model once, here, and checks its hash. As an init container it copies the model to /target.
ARG BROADSHEET=broadsheet/broadsheet
ARG DEBIAN=debian:bookworm-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171

# hadolint ignore=DL3006
FROM ${BROADSHEET} AS fetched
RUN ["/usr/local/bin/service", "fetch", "--into", "/model"]

FROM ${DEBIAN}
LABEL org.opencontainers.image.title="broadsheet-model" \
      org.opencontainers.image.description="The sentence model all-MiniLM-L6-v2 for Broadsheet" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=fetched --chown=65532:65532 /model/all-MiniLM-L6-v2 /model/all-MiniLM-L6-v2
USER 65532:65532
ENTRYPOINT ["cp", "-r", "/model/.", "/target"]
