-- The tables of Lethe's analytics. Each statement may run again.
-- Written by "node deploy/clickhouse/write-sql.ts"; a test holds the file equal to the code (services/analytics/src/ledger).
-- For a cluster of one shard, whose name is "lethe" here ("--cluster NAME" puts in another).

CREATE DATABASE IF NOT EXISTS ledger ON CLUSTER lethe;

CREATE TABLE IF NOT EXISTS ledger.ticket_flow ON CLUSTER lethe (
    tenant_id LowCardinality(String),
    hour DateTime('UTC'),
    channel UInt16,
    priority UInt16,
    category UInt16,
    projection_version UInt32,
    manifest_id UUID,
    exact_created UInt64,
    late_created UInt64,
    accepted_day_created UInt64,
    exact_replies UInt64,
    late_replies UInt64,
    accepted_day_replies UInt64,
    exact_first_replied UInt64,
    late_first_replied UInt64,
    accepted_day_first_replied UInt64,
    exact_solved UInt64,
    late_solved UInt64,
    accepted_day_solved UInt64,
    exact_reopened UInt64,
    late_reopened UInt64,
    accepted_day_reopened UInt64,
    exact_escalated UInt64,
    late_escalated UInt64,
    accepted_day_escalated UInt64
  ) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/lethe/{uuid}/{shard}', '{replica}')
  PARTITION BY toYYYYMM(hour)
  PRIMARY KEY (tenant_id, hour)
  ORDER BY (tenant_id, hour, channel, priority, category, projection_version, manifest_id)
  SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS ledger.ticket_status ON CLUSTER lethe (
    tenant_id LowCardinality(String),
    hour DateTime('UTC'),
    previous_status UInt16,
    status UInt16,
    channel UInt16,
    priority UInt16,
    category UInt16,
    projection_version UInt32,
    manifest_id UUID,
    exact_changes UInt64,
    late_changes UInt64,
    accepted_day_changes UInt64
  ) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/lethe/{uuid}/{shard}', '{replica}')
  PARTITION BY toYYYYMM(hour)
  PRIMARY KEY (tenant_id, hour)
  ORDER BY (tenant_id, hour, previous_status, status, channel, priority, category, projection_version, manifest_id)
  SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS ledger.csat ON CLUSTER lethe (
    tenant_id LowCardinality(String),
    hour DateTime('UTC'),
    score UInt16,
    channel UInt16,
    priority UInt16,
    category UInt16,
    projection_version UInt32,
    manifest_id UUID,
    exact_responses UInt64,
    late_responses UInt64,
    accepted_week_responses UInt64,
    exact_score_sum Int128,
    late_score_sum Int128,
    accepted_week_score_sum Int128
  ) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/lethe/{uuid}/{shard}', '{replica}')
  PARTITION BY toYYYYMM(hour)
  PRIMARY KEY (tenant_id, hour)
  ORDER BY (tenant_id, hour, score, channel, priority, category, projection_version, manifest_id)
  SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS ledger.predictions ON CLUSTER lethe (
    tenant_id LowCardinality(String),
    hour DateTime('UTC'),
    target UInt16,
    model UInt16,
    decision UInt16,
    channel UInt16,
    priority UInt16,
    category UInt16,
    projection_version UInt32,
    manifest_id UUID,
    exact_made UInt64,
    late_made UInt64,
    accepted_day_made UInt64
  ) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/lethe/{uuid}/{shard}', '{replica}')
  PARTITION BY toYYYYMM(hour)
  PRIMARY KEY (tenant_id, hour)
  ORDER BY (tenant_id, hour, target, model, decision, channel, priority, category, projection_version, manifest_id)
  SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS ledger.usage ON CLUSTER lethe (
    tenant_id LowCardinality(String),
    hour DateTime('UTC'),
    activity UInt16,
    feature UInt16,
    result UInt16,
    unit UInt16,
    projection_version UInt32,
    manifest_id UUID,
    exact_used UInt64,
    late_used UInt64,
    accepted_day_used UInt64,
    exact_quantity_milli Int128,
    late_quantity_milli Int128,
    accepted_day_quantity_milli Int128
  ) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/lethe/{uuid}/{shard}', '{replica}')
  PARTITION BY toYYYYMM(hour)
  PRIMARY KEY (tenant_id, hour)
  ORDER BY (tenant_id, hour, activity, feature, result, unit, projection_version, manifest_id)
  SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE DATABASE IF NOT EXISTS released ON CLUSTER lethe;
