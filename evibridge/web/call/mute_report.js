/** What the service was told of the microphone: to show it to operators, the page itself mutes. Pure. */
export class MuteReport {
  /** @type {boolean | null} null for nothing: the service takes the microphone for open */
  #told = null;

  /**
   * Whether the service has to be told; it is, if so.
   *
   * @param {boolean} isMuted
   */
  tell(isMuted) {
    if ((this.#told ?? false) === isMuted) return false;
    this.#told = isMuted;
    return true;
  }

  /**
   * Whether it has to be told after a connection was lost, or the message was refused: the last one
   * may not have come through.
   *
   * @param {boolean} isMuted
   */
  tellAgain(isMuted) {
    if (this.#told !== null) this.#told = !isMuted;
    return this.tell(isMuted);
  }
}
