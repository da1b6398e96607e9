import { integerFrom, oneOf, seededRandom, skewedOneOf } from './random.mjs';

/** Twenty types, the most frequent first. */
const TYPES =
  'health_check request_log deployment job_finished job_started cache_miss backup config_change restart login scale_up scale_down certificate_renewed disk_alert queue_delay failover rate_limited rollback data_import service_crashed'.split(
    ' ',
  );

const SOURCES =
  'api billing search auth gateway worker scheduler mailer reports ingest metrics images payments orders catalog users sessions exports webhooks billing-jobs cron proxy storage ledger audit'.split(
    ' ',
  );

const SEVERITY_SHARES = [
  ['info', 0.8],
  ['warning', 0.94],
  ['error', 0.99],
  ['critical', 1],
];

const WORDS =
  'request took longer than expected on connection to host was closed while reading from the queue and retry finished after timeout of replica volume mounted with new certificate disk usage below limit job started by scheduler cache refreshed node joined cluster leader elected snapshot written backup verified token expired index rebuilt worker restarted memory pressure released'.split(
    ' ',
  );

const CLASSES = ['Bar', 'Order', 'Payment', 'Invoice', 'Session', 'Search', 'Mail', 'Ledger'].map(
  (name) => `com.foo.${name}Service`,
);
const DEVICES = ['a', 'b', 'c', 'd'].flatMap((disk) => [1, 2, 3, 4].map((part) => `/dev/sd${disk}${part}`));
const HOSTS = Array.from({ length: 40 }, (_, number) => `pg-node_${number}`);
const PODS = pods(200);
const REGIONS = ['eu-west-1', 'eu-central-1', 'us-east-1', 'us-west-2', 'ap-south-1'];
const STATUSES = [200, 200, 200, 201, 204, 304, 400, 404, 429, 500, 502, 503];

/**
 * An event as services send it: skewed types, severities 80/14/5/1 %, 5 % without a source, messages of 5 to 15 words
 * with names of machines, details of 3 to 5 keys. About 250 bytes as JSON.
 *
 * Its texts hold no tab, line break, backslash or colon, so that COPY, pgbench and the load generators take them as
 * they are.
 */
export function randomEvent(random) {
  return {
    event_type: skewedOneOf(random, TYPES),
    severity: severity(random()),
    message: message(random),
    details: details(random),
    source: random() < 0.05 ? null : skewedOneOf(random, SOURCES),
  };
}

/** The events that every writer of a run sends in turn: ours, the references and pgbench alike. */
export function sampleEvents(count) {
  const random = seededRandom(42);
  return Array.from({ length: count }, () => randomEvent(random));
}

function severity(share) {
  return SEVERITY_SHARES.find(([, upTo]) => share < upTo)[0];
}

function message(random) {
  const words = Array.from({ length: integerFrom(random, 4, 14) }, () => skewedOneOf(random, WORDS));
  words.splice(integerFrom(random, 0, words.length), 0, oneOf(random, oneOf(random, [HOSTS, DEVICES, CLASSES, PODS])));
  return words.join(' ');
}

function details(random) {
  const all = {
    version: `1.${integerFrom(random, 0, 20)}.${integerFrom(random, 0, 9)}`,
    region: oneOf(random, REGIONS),
    http: { status: oneOf(random, STATUSES) },
  };
  if (random() < 0.6) all.attempt = integerFrom(random, 1, 5);
  if (random() < 0.4) all.duration_ms = integerFrom(random, 1, 9999);
  return all;
}

function pods(count) {
  const random = seededRandom(7);
  const letters = (length) => Array.from({ length }, () => oneOf(random, '0123456789abcdfghjkmnpqrstvwxz')).join('');
  return ['api-7f9c4d-x2x9p'].concat(
    Array.from({ length: count - 1 }, () => `${oneOf(random, SOURCES)}-${letters(6)}-${letters(5)}`),
  );
}
