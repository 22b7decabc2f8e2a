/** Style sheets are bundled by their import; it has no value. */
declare module '*.css';
