// What the issuer publishes as valid follows the store of tasks, also where this replica does not lead.

import type { Uid } from '../core/names.ts'
import type { Task } from '../core/observed.ts'
import { liveStatusRefs } from '../core/record.ts'
import type { StatusLists } from '../issuer/statuslist/statuslist.ts'
import type { StoreView } from '../kube/store.ts'

export function showPlaces(tasks: Pick<StoreView<Task>, 'subscribe'>, statusLists: Pick<StatusLists, 'forget' | 'observe'>): void {
  tasks.subscribe((change) => {
    const uid: Uid | undefined = change.before?.uid
    // what a list alone did not have is in doubt, and stays valid until it is known to be gone
    if (uid !== undefined && uid !== change.after?.uid && !change.inferred) statusLists.forget(uid)
    if (change.after !== undefined) statusLists.observe(change.after.uid, liveStatusRefs(change.after.record))
  })
}
