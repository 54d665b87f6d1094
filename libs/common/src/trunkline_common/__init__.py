"""The consumer pattern, PostgreSQL, Kafka, gRPC and telemetry shared by the Trunkline services."""
