/** Tables of the engine; its queues are pg-boss's own, in another schema. @module */
import type { ColumnType } from "kysely";

interface PeriodicLookTable {
  name: string;
  due_at: ColumnType<Date, Date | undefined, Date>;
  holder: string | null;
}

export interface EngineTables {
  periodic_looks: PeriodicLookTable;
}
