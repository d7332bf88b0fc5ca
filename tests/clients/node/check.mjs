// Does what a user of @kubernetes/client-node does, and fails loudly. Run by test_node.py, which sets
// KUBECONFIG, NAMESPACE, CLIENT_HOME, EXPIRED (a resourceVersion from which there is nothing more to watch),
// DEFINITION (of a custom resource to create), and ONLY=custom for the part that needs the widgets.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { pathToFileURL } from 'node:url';

const require = createRequire(path.join(process.env.CLIENT_HOME, 'package.json'));
const k8s = await import(pathToFileURL(require.resolve('@kubernetes/client-node')));

const config = new k8s.KubeConfig();
config.loadFromFile(process.env.KUBECONFIG);
const core = config.makeApiClient(k8s.CoreV1Api);
const namespace = process.env.NAMESPACE;
const apps = config.makeApiClient(k8s.AppsV1Api);
const expired = process.env.EXPIRED;
const done = [];

// The first value of `check` that counts as true; an error where none comes in time.
async function until(check, what) {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// The first `count` events of a watch; fewer when the server ends it before. An error is what it ended with.
function events(path, query, count = Infinity) {
  const seen = [];
  return new Promise((resolve, reject) => {
    let request;
    let enough = false;
    const event = (type, object) => {
      seen.push({ type, object });
      enough = seen.length >= count;
      if (enough) { resolve(seen); request?.abort(); }
    };
    const end = (error) => {
      if (enough || !error || error === k8s.Watch.SERVER_SIDE_CLOSE) resolve(seen);
      else reject(error);
    };
    new k8s.Watch(config).watch(path, query, event, end).then((made) => {
      request = made;
      if (enough) request.abort();
    }, reject);
  });
}

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

await step('server-side apply, its conflict and force', async () => {
  const apply = (fieldManager, value, force) => core.patchNamespacedConfigMap({
    namespace, name: 'applied', fieldManager, force,
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data: { a: value } },
  }, k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.ServerSideApply));
  await apply('one', '1');
  await assert.rejects(apply('two', '2'), { code: 409 });
  assert.deepEqual((await apply('two', '2', true)).data, { a: '2' });
});

await step('selectors and a dry run', async () => {
  for (const [name, labels] of Object.entries({ x: { tier: 'one' }, y: { tier: 'two' }, z: {} })) {
    const metadata = { name: `select-${name}`, labels: { of: 'selectors', ...labels } };
    await core.createNamespacedConfigMap({ namespace, body: { metadata } });
  }
  const select = async (labelSelector, fieldSelector) => {
    const found = await core.listNamespacedConfigMap({ namespace, labelSelector, fieldSelector });
    return found.items.map((item) => item.metadata.name.replace('select-', '')).join('');
  };
  assert.equal(await select('of=selectors,tier in (one,two)'), 'xy');
  assert.equal(await select('of=selectors,!tier'), 'z');
  assert.equal(await select('of=selectors', 'metadata.name!=select-y'), 'xz');
  const dry = await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'dry' } }, dryRun: 'All' });
  assert.ok(dry.metadata.uid);
  await assert.rejects(core.readNamespacedConfigMap({ namespace, name: 'dry' }), { code: 404 });
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'of=selectors' });
  assert.equal(await select('of=selectors'), '');
});

await step('scale, status, deletion with and without dependents', async () => {
  const labels = { app: 'scaled' };
  const containers = [{ name: 'main', image: 'podium.local/none:1' }];
  const template = { metadata: { labels }, spec: { containers } };
  const name = 'scaled';
  await apps.createNamespacedDeployment({
    namespace, body: { metadata: { name }, spec: { replicas: 1, selector: { matchLabels: labels }, template } },
  });
  // Without a resourceVersion: a controller writes the object at the same time.
  const scale = { metadata: { name, namespace }, spec: { replicas: 2 } };
  await apps.replaceNamespacedDeploymentScale({ namespace, name, body: scale });
  const ready = async () => (await apps.readNamespacedDeployment({ namespace, name })).status.readyReplicas === 2;
  await until(ready, 'two ready replicas');
  const conditions = [{ type: 'ByTest', status: 'True', reason: 'R', message: 'm' }];
  const patched = await apps.patchNamespacedDeploymentStatus(
    { namespace, name, body: { status: { conditions } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
  );
  assert.ok(patched.status.conditions.some((condition) => condition.type === 'ByTest'));
  await apps.deleteNamespacedDeployment({ namespace, name, propagationPolicy: 'Orphan' });
  const labelSelector = 'app=scaled';
  const left = async () => (await apps.listNamespacedReplicaSet({ namespace, labelSelector })).items
    .find((set) => !set.metadata.ownerReferences?.length);
  const orphan = await until(left, 'a replica set without owner');
  await apps.deleteNamespacedReplicaSet({ namespace, name: orphan.metadata.name, propagationPolicy: 'Foreground' });
  const none = async () => (await core.listNamespacedPod({ namespace, labelSelector })).items.length === 0;
  await until(none, 'no pod left');
});

await step('watches that resume, end and expire', async () => {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const labelSelector = 'watched=yes';
  let resourceVersion = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
  for (const n of [0, 1]) {
    const metadata = { name: `watched-${n}`, labels: { watched: 'yes' } };
    await core.createNamespacedConfigMap({ namespace, body: { metadata } });
  }
  for (const n of [0, 1]) {
    const [event] = await events(path, { labelSelector, resourceVersion }, 1);
    assert.deepEqual([event.type, event.object.metadata.name], ['ADDED', `watched-${n}`]);
    resourceVersion = event.object.metadata.resourceVersion;
  }
  assert.deepEqual(await events(path, { labelSelector, resourceVersion, timeoutSeconds: 1 }), []);
  // This library hands the error over as an event.
  const [gone] = await events(path, { labelSelector, resourceVersion: expired, timeoutSeconds: 60 }, 1);
  assert.deepEqual([gone.type, gone.object.code], ['ERROR', 410]);
  const query = {
    labelSelector, allowWatchBookmarks: true, sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan',
  };
  const types = (await events(path, query, 3)).map((event) => event.type);
  assert.deepEqual(types, ['ADDED', 'ADDED', 'BOOKMARK']);
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
  const stream = new PassThrough();
  const followed = await new k8s.Log(config).log(namespace, 'runs', 'main', stream, { follow: true });
  assert.match((await once(stream, 'data')).toString(), /simulated node/);
  followed.abort();
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

await step('a definition of its own', async () => {
  const body = JSON.parse(process.env.DEFINITION);
  const name = body.metadata.name;
  const definitions = config.makeApiClient(k8s.ApiextensionsV1Api);
  await definitions.createCustomResourceDefinition({ body });
  const established = async () => (await definitions.readCustomResourceDefinition({ name })).status?.conditions
    ?.some((condition) => condition.type === 'Established' && condition.status === 'True');
  await until(established, 'an established definition');
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const spec = { apiVersion: `${body.spec.group}/v1`, kind: 'Widget', metadata: { name: 'one', namespace } };
  // (A default in the schema is lost on the way: this library calls it _default.)
  assert.equal((await objects.create({ ...spec, spec: { size: 2 } })).spec.size, 2);
  await objects.delete(spec);
  await definitions.deleteCustomResourceDefinition({ name });
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
  const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch);
  const one = { ...where, name: 'one' };
  await custom.patchNamespacedCustomObjectStatus({ ...one, body: { status: { size: 2 } } }, merge);
  await custom.patchNamespacedCustomObjectScale({ ...one, body: { spec: { replicas: 3 } } }, merge);
  const found = await custom.getNamespacedCustomObject(one);
  assert.deepEqual([found.spec.size, found.status.size], [3, 2]);
  await custom.deleteNamespacedCustomObject(one);
});

console.log(done.join('\n'));
process.exit(0);
