// Runs commands in a container with @kubernetes/client-node. Run by tests/e2e/test_clients.py, which sets
// KUBECONFIG, NAMESPACE, POD, CLIENT_HOME.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

const require = createRequire(path.join(process.env.CLIENT_HOME, 'package.json'));
const k8s = await import(pathToFileURL(require.resolve('@kubernetes/client-node')));

const config = new k8s.KubeConfig();
config.loadFromFile(process.env.KUBECONFIG);

async function run(command, input) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const printed = Promise.all([text(out), text(err)]);
  const status = await new Promise((resolve, reject) => {
    const stdin = input === undefined ? null : Readable.from([input]);
    const { NAMESPACE, POD } = process.env;
    new k8s.Exec(config).exec(NAMESPACE, POD, 'main', command, out, err, stdin, false, resolve).catch(reject);
  });
  out.end();
  err.end();
  return { status, printed: await printed };
}

const both = await run(['sh', '-c', 'echo out; echo err >&2']);
assert.equal(both.status.status, 'Success');
assert.deepEqual(both.printed, ['out\n', 'err\n']);

const failed = await run(['sh', '-c', 'exit 7']);
assert.equal(failed.status.status, 'Failure');
assert.equal(failed.status.details.causes[0].message, '7');

const through = await run(['sh', '-c', 'read line; echo "got $line"'], 'a line\n');
assert.deepEqual(through.printed, ['got a line\n', '']);
process.exit(0);
