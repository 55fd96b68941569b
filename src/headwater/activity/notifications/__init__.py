"""Tell others what happened: kept in the catalogue until it is delivered, to a webhook and to RabbitMQ."""
