/** pageData: what a page need not ask for, as a part of its HTML. Pure. */

/** A block of data is no script to the browser or the policy, and its end cannot be written inside. */
export function pageDataBlock(id: string, data: unknown): string {
  return `<script type="application/json" id="${id}">${JSON.stringify(data).replaceAll('<', '\\u003c')}</script>`;
}
