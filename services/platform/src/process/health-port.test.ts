import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type HealthPort, type HealthReport, openHealthPort } from './health-port.ts';

describe('the health port', () => {
  let port: HealthPort;
  let report: HealthReport;
  beforeEach(async () => {
    report = { phase: 'serving', waitsFor: undefined, problems: [] };
    port = await openHealthPort({ host: '127.0.0.1', port: 0 }, undefined, () => report);
  });
  afterEach(() => port.stop());

  /** The status of an answer to a request as it is written, which no client would send. */
  const statusOf = async (target: string): Promise<number> => {
    const socket = connect(port.port, '127.0.0.1').setEncoding('utf8');
    socket.end(`GET ${target} HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n`);
    let answer = '';
    for await (const text of socket) answer += String(text);
    return Number(answer.split(' ')[1]);
  };

  it('tells a process that lives, serves and has a problem apart', async () => {
    const all = async () => await Promise.all(['/live', '/ready', '/problems'].map(statusOf));
    assert.deepEqual(await all(), [200, 200, 200]);
    report = { phase: 'serving', waitsFor: undefined, problems: ['relay stopped'] };
    assert.deepEqual(await all(), [200, 200, 503]);
    report = { phase: 'starting', waitsFor: 'database', problems: [] };
    assert.deepEqual(await all(), [200, 503, 200]);
  });

  it('knows nothing else, and no request ends the process', async () => {
    for (const target of ['/', '/ready/', '//', '//?', 'http://', 'http://[', '/%', '*']) {
      assert.equal(await statusOf(target), 404, target);
    }
    assert.equal(await statusOf('/live?verbose'), 200);
  });
});
