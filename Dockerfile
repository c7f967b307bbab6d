# The program for compose.yaml and compose.kafka.yaml. Nothing of the build stays in it.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package ordermill --features postgres,kafka

FROM debian:bookworm-slim
# The authorities that sign certificates, what the client of Kafka is linked with, and what the health checks call.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates libssl3 zlib1g curl && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/ordermill /usr/local/bin/
# Volumes that are empty take over what the image has there, its owner included.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin ordermill && mkdir /data /shared && chown ordermill /data /shared
USER ordermill
ENTRYPOINT ["ordermill"]
