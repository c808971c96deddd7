// The chain check and cold copy of an event log, the straightforward way: one thread, everything in memory, gzip level 9.
// node eventlog.mjs check FOLDER | node eventlog.mjs create FOLDER ARCHIVE
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const [action, folder, archive] = process.argv.slice(2);
const place = join(folder, 'event-log');
const names = readdirSync(place).filter((name) => /^segment-\d{6}\.json$/.test(name)).sort();
const sha256 = (content) => createHash('sha256').update(content).digest('hex');

function check(contents) {
  let previous = null;
  let count = 0;
  for (const content of contents) {
    for (const event of JSON.parse(content.toString('utf8'))) {
      const parts = [
        event.previous_hash ?? '', new Date(event.timestamp).toISOString(), event.actor, event.evento,
        event.entidade, event.entidade_id, event.payload_hash,
      ];
      if (event.previous_hash !== previous || event.current_hash !== sha256(parts.join('|'))) {
        throw new Error(`event ${count} is broken`);
      }
      previous = event.current_hash;
      count += 1;
    }
  }
  return count;
}

function member(name, content) {
  const header = Buffer.alloc(512);
  const put = (text, offset) => header.write(text, offset, 'latin1');
  put(name, 0);
  put('0000600\0', 100);
  put('0000000\0', 108);
  put('0000000\0', 116);
  put(content.length.toString(8).padStart(11, '0') + '\0', 124);
  put('00000000000\0', 136);
  put('        ', 148);
  put('0', 156);
  put('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(sum.toString(8).padStart(6, '0') + '\0 ', 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

const contents = names.map((name) => readFileSync(join(place, name)));
const count = check(contents);
if (action === 'create') {
  const files = names.map((name, index) => ({ path: `event-log/${name}`, sha256: sha256(contents[index]) }));
  const members = names.map((name, index) => member(`event-log/${name}`, contents[index]));
  members.push(member('manifest.json', Buffer.from(JSON.stringify({ files, count }, null, 2))), Buffer.alloc(1024));
  writeFileSync(archive, gzipSync(Buffer.concat(members), { level: 9 }));
}
console.log(JSON.stringify({ events: count, memory: process.resourceUsage().maxRSS * 1024 }));
