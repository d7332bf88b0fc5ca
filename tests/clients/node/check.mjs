// Does what a user of @kubernetes/client-node does, and fails loudly. Run by test_node.py, which sets
// KUBECONFIG, NAMESPACE, CLIENT_HOME, and ONLY=custom for the part that needs custom resources.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(path.join(process.env.CLIENT_HOME, 'package.json'));
const k8s = await import(pathToFileURL(require.resolve('@kubernetes/client-node')));

const config = new k8s.KubeConfig();
config.loadFromFile(process.env.KUBECONFIG);
const core = config.makeApiClient(k8s.CoreV1Api);
const namespace = process.env.NAMESPACE;
const done = [];

async function step(name, body) {
  if ((name === 'custom resources') !== (process.env.ONLY === 'custom')) return;
  try {
    await body();
  } catch (error) {
    console.error(`FAILED ${name}`);
    throw error;
  }
  done.push(name);
}

await step('create, read, replace, delete', async () => {
  const made = await core.createNamespacedConfigMap({
    namespace,
    body: { metadata: { name: 'crud' }, data: { a: '1' } },
  });
  made.data.b = '2';
  await core.replaceNamespacedConfigMap({ namespace, name: 'crud', body: made });
  const found = await core.readNamespacedConfigMap({ namespace, name: 'crud' });
  assert.deepEqual(found.data, { a: '1', b: '2' });
  await core.deleteNamespacedConfigMap({ namespace, name: 'crud' });
  await assert.rejects(core.readNamespacedConfigMap({ namespace, name: 'crud' }), { code: 404 });
});

await step('patch of each type', async () => {
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'patched' }, data: { a: '1' } } });
  const patches = {
    [k8s.PatchStrategy.JsonPatch]: [{ op: 'add', path: '/data/json', value: 'x' }],
    [k8s.PatchStrategy.MergePatch]: { data: { merge: 'x' } },
    [k8s.PatchStrategy.StrategicMergePatch]: { data: { strategic: 'x' } },
    [k8s.PatchStrategy.ServerSideApply]: {
      apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'patched' }, data: { applied: 'x' },
    },
  };
  for (const [type, body] of Object.entries(patches)) {
    const request = { namespace, name: 'patched', body, fieldManager: 'node' };
    await core.patchNamespacedConfigMap(request, k8s.setHeaderOptions('Content-Type', type));
  }
  const found = await core.readNamespacedConfigMap({ namespace, name: 'patched' });
  assert.deepEqual(Object.keys(found.data).sort(), ['a', 'applied', 'json', 'merge', 'strategic']);
});

await step('objects of any kind', async () => {
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const spec = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace } };
  await objects.create({ ...spec, spec: { ports: [{ port: 80 }], selector: { app: 'web' } } });
  const found = await objects.read(spec);
  assert.match(found.spec.clusterIP, /^10\./);
  await objects.delete(spec);
});

await step('pages', async () => {
  for (const n of [0, 1, 2, 3, 4]) {
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: `page-${n}` } } });
  }
  const names = [];
  let token;
  do {
    const page = await core.listNamespacedSecret({ namespace, limit: 2, _continue: token });
    names.push(...page.items.map((item) => item.metadata.name));
    token = page.metadata._continue;
  } while (token);
  assert.deepEqual(names, ['page-0', 'page-1', 'page-2', 'page-3', 'page-4']);
});

await step('watch, and a pod that runs', async () => {
  const watch = new k8s.Watch(config);
  let running;
  const seen = new Promise((resolve) => { running = resolve; });
  const request = await watch.watch(
    `/api/v1/namespaces/${namespace}/pods`, {},
    (type, pod) => { if (pod.status?.phase === 'Running') running(pod.metadata.name); },
    () => {},
  );
  const spec = { containers: [{ name: 'main', image: 'podium.local/none:1' }] };
  await core.createNamespacedPod({ namespace, body: { metadata: { name: 'runs' }, spec } });
  assert.equal(await seen, 'runs');
  request.abort();
  const log = await core.readNamespacedPodLog({ namespace, name: 'runs' });
  assert.match(log, /simulated node/);
});

await step('informer', async () => {
  const list = () => core.listNamespacedConfigMap({ namespace });
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list);
  const added = new Promise((resolve) => informer.on('add', (map) => map.metadata.name === 'seen' && resolve()));
  await informer.start();
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'seen' } } });
  await added;
  await informer.stop();
});

await step('custom resources', async () => {
  const custom = config.makeApiClient(k8s.CustomObjectsApi);
  const where = { group: 'clients.podium.dev', version: 'v1', namespace, plural: 'widgets' };
  const made = await custom.createNamespacedCustomObject({
    ...where,
    body: { apiVersion: 'clients.podium.dev/v1', kind: 'Widget', metadata: { name: 'one' }, spec: { size: 2 } },
  });
  assert.deepEqual(made.spec, { size: 2, colour: 'green' });
  const list = await custom.listNamespacedCustomObject(where);
  assert.equal(list.items.length, 1);
  await custom.deleteNamespacedCustomObject({ ...where, name: 'one' });
});

console.log(done.join('\n'));
process.exit(0);
