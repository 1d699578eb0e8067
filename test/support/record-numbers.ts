// The numbers of the records that a directory has.

import { loadDrivers } from '../../src/history/driver/load-driver.js';
import { segmentFiles } from '../../src/history/segment-files.js';

/** Numbers of all records of a directory, as they are in it. */
export function numbersIn(directory: string): number[] {
  const driver = loadDrivers(1)[0]!;
  return segmentFiles(directory).flatMap(({ path }) => {
    const file = driver.open(path, { readOnly: true });
    try {
      return file
        .prepare('SELECT seq FROM flow ORDER BY rowid')
        .all()
        .map(({ seq }) => seq as number);
    } finally {
      file.close();
    }
  });
}
